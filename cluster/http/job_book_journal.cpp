// What the book writes down, and how it goes on after a restart.
#include <algorithm>
#include <utility>

#include "cluster/http/job_book.hpp"

namespace troupe::http {
namespace {

constexpr std::int64_t retry_s = 2;  // after a failure, for a new file

}  // namespace

const job_book::record* job_book::find(const std::string& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() || found->second.now == phase::untold ? nullptr : &found->second;
}

std::optional<std::string> job_book::owner(const std::string& id) const {
  const record* job = find(id);
  return job ? std::optional(job->owner) : std::nullopt;
}

bool job_book::is_being_written(const std::string& id) const {
  const record* job = find(id);
  return job && job->now == phase::writing;
}

journal::batch job_book::take_batch() {
  return std::exchange(batch_, {});
}

std::uint64_t job_book::write_down(proto::JournalRecord record) {
  if (!settings_.journal || (journal_failure_ && fresh_position_ == 0)) return 0;
  batch_.records.push_back(std::move(record));
  return batch_.position = ++position_;
}

void job_book::write_held(const std::string& id, record& job) {
  proto::JournalRecord out;
  *out.mutable_held()->mutable_job() = job.job;
  out.mutable_held()->mutable_job()->set_job_id(id);
  out.mutable_held()->set_owner(job.owner);
  out.mutable_held()->set_created_s(job.created_s);
  *out.mutable_held()->mutable_trace() = job.trace;
  job.position = write_down(std::move(out));
}

void job_book::write_end(const std::string& id, const record& job) {
  proto::JournalRecord out;
  out.mutable_held_end()->set_job_id(id);
  out.mutable_held_end()->set_cancelled(job.cancelled);
  write_down(std::move(out));
}

void job_book::write_forgotten(const std::string& id) {
  proto::JournalRecord out;
  out.set_forgotten(id);
  write_down(std::move(out));
}

void job_book::rewrite_journal() {
  if (!settings_.journal) return;
  batch_ = {};
  batch_.fresh = batch_.urgent = true;
  fresh_position_ = position_ + 1;  // write_down() writes
  proto::JournalRecord head;
  head.mutable_segment()->set_format_version(1);
  head.mutable_segment()->set_node(settings_.node);
  write_down(std::move(head));
  std::vector<std::pair<std::uint64_t, std::string>> by_order;
  for (const auto& [id, job] : jobs_) by_order.emplace_back(job.order, id);
  std::sort(by_order.begin(), by_order.end());
  for (const auto& [order, id] : by_order) {
    record& job = jobs_.at(id);
    if (job.content.empty()) continue;  // told by the gateway alone: nothing is known to write
    write_held(id, job);
    if (job.now == phase::ended || job.now == phase::untold) write_end(id, job);
  }
  fresh_position_ = position_;
}

// Where the journal has failed and it is not yet time to try again: why.
std::optional<api_error> job_book::begin_fresh_if_failed(std::int64_t now_s) {
  if (!journal_failure_ || fresh_position_ > 0) return std::nullopt;
  if (now_s < tried_at_s_ + retry_s && now_s >= tried_at_s_) return journal_failure_;
  tried_at_s_ = now_s;
  rewrite_journal();
  return std::nullopt;
}

void job_book::durable(std::uint64_t position) {
  if (fresh_position_ > 0 && position >= fresh_position_) {
    fresh_position_ = 0;
    journal_failure_.reset();
  }
  for (auto& [id, job] : jobs_)
    if (job.now == phase::writing && job.position <= position) job.now = phase::waiting;
  start_waiting();
}

void job_book::journal_failed(const error& why) {
  journal_failure_ = api_error_of(why.code, why.message, why.mend);
  fresh_position_ = 0;
  batch_ = {};
  std::erase_if(jobs_, [](const auto& one) { return one.second.now == phase::writing; });
}

void job_book::recover(std::span<const proto::JournalRecord> records) {
  for (const proto::JournalRecord& one : records) {
    if (one.has_held() && one.held().job().job_id().size() == 16) {
      record& job = jobs_[one.held().job().job_id()];
      job = {};
      job.job = one.held().job();
      job.owner = one.held().owner();
      job.created_s = one.held().created_s();
      job.trace = one.held().trace();
      job.content = job.job.job().SerializeAsString();
      job.order = next_order_++;
    } else if (one.has_held_end()) {
      const auto found = jobs_.find(one.held_end().job_id());
      if (found == jobs_.end()) continue;
      found->second.now = phase::untold;
      found->second.cancelled = one.held_end().cancelled();
    } else if (one.kind_case() == proto::JournalRecord::kForgotten) {
      jobs_.erase(one.forgotten());
    }
  }
  held_back_ = true;
  rewrite_journal();
}

void job_book::begin() {
  held_back_ = false;
  start_waiting();
}

}  // namespace troupe::http
