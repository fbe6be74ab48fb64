// What the gateway writes down, what waits for that, and how a gateway that starts again goes on.
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

constexpr std::uint64_t deadline_ms_max = 10ull * 365 * 86'400'000;  // whatever a record says

proto::JournalRecord taken_record(const job_record& job, time_point_us now) {
  proto::JournalRecord record;
  proto::JobTaken& taken = *record.mutable_taken();
  *taken.mutable_asked() = job.asked;
  taken.set_fingerprint(job.fingerprint);
  *taken.mutable_pinned() = job.pinned;
  *taken.mutable_prompt_ids() = job.prompt_ids;
  taken.set_tenant(job.tenant);
  const auto left = std::chrono::duration_cast<milliseconds>(job.deadline_at - now).count();
  taken.set_deadline_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1)));
  const proto::Address& client = job.client.node().empty() ? job.client_before : job.client;
  if (!client.node().empty()) *taken.mutable_client() = client;
  taken.set_correlation(job.correlation);
  if (job.trace.ByteSizeLong() > 0) *taken.mutable_trace() = job.trace;
  return record;
}

proto::JournalRecord attempt_record(const job_record& job, const std::string& worker) {
  proto::JournalRecord record;
  proto::JobAttempt& attempt = *record.mutable_attempt();
  attempt.set_job_id(job.id);
  attempt.set_attempt(job.attempt);
  attempt.set_failures(job.failures);
  attempt.set_worker(worker);
  attempt.set_numerics_class(job.numerics_class);
  for (const std::string& node : job.lost_at) attempt.add_lost_at(node);
  attempt.set_lost_tokens(job.lost_tokens);
  return record;
}

}  // namespace

std::uint64_t gateway_core::write_down(proto::JournalRecord record, step& s) {
  if (!settings_.journal || (journal_failure_ && !fresh_position_)) return 0;
  s.out.journal.records.push_back(std::move(record));
  return s.out.journal.position = ++position_;
}

bool gateway_core::on_disk(std::uint64_t position) const {
  return position <= durable_ || journal_failure_;
}

void gateway_core::wait_for_disk(waiting_for_disk what, step& s) {
  if (on_disk(what.position)) return disk_has(what, s);
  s.out.journal.urgent = true;
  waiting_for_disk_.push_back(std::move(what));
}

void gateway_core::disk_has(const waiting_for_disk& what, step& s) {
  if (what.reply) return post(*what.reply, s);
  job_record* job = find(what.job);
  if (!job) return;
  if (!job->acknowledged)
    acknowledge(*job, s);
  else
    pump(*job, s);
}

void gateway_core::write_taken(job_record& job, step& s) {
  job.journaled = settings_.journal && !job.asked.ephemeral();
  if (!job.journaled) return acknowledge(job, s);
  const std::uint64_t position = write_down(taken_record(job, s.now), s);
  write_tokens(job, 0, s);
  wait_for_disk({position, job.id, {}}, s);
}

void gateway_core::write_attempt(const job_record& job, const std::string& worker, step& s) {
  if (job.journaled) write_down(attempt_record(job, worker), s);
}

void gateway_core::write_tokens(const job_record& job, std::uint32_t from, step& s) {
  if (!job.journaled) return;
  while (from < job.answer.size()) {
    proto::JournalRecord record;
    proto::JobTokens& tokens = *record.mutable_tokens();
    tokens = job.answer.cut(from, job.answer.size() - from);
    tokens.set_job_id(job.id);
    from += static_cast<std::uint32_t>(tokens.ids_size());
    write_down(std::move(record), s);
  }
}

void gateway_core::write_end(job_record& job, step& s) {
  if (!job.journaled) return;
  proto::JournalRecord record;
  *record.mutable_finished() = *job.finished;
  job.ended_position = write_down(std::move(record), s);
  wait_for_disk({job.ended_position, job.id, {}}, s);
}

gateway_effects gateway_core::durable(std::uint64_t position, time_point_us now) {
  step s{now, {}};
  durable_ = std::max(durable_, position);
  if (fresh_position_ && durable_ >= *fresh_position_) {
    fresh_position_.reset();
    if (journal_failure_) s.out.log.push_back("journal_writes_again");
    journal_failure_.reset();
  }
  while (!waiting_for_disk_.empty() && waiting_for_disk_.front().position <= durable_) {
    const waiting_for_disk what = std::move(waiting_for_disk_.front());
    waiting_for_disk_.pop_front();
    disk_has(what, s);
  }
  return std::move(s.out);
}

gateway_effects gateway_core::journal_failed(const error& why, time_point_us now) {
  step s{now, {}};
  if (!journal_failure_) s.out.log.push_back("journal_failed reason=\"" + why.text() + "\"");
  journal_failure_ = why;
  fresh_position_.reset();
  const std::deque<waiting_for_disk> waiting = std::exchange(waiting_for_disk_, {});
  for (const waiting_for_disk& what : waiting) {
    job_record* job = what.reply ? nullptr : find(what.job);
    if (job && !job->acknowledged) {
      stop_sequence(*job, s);
      refuse_job(*job, wire_error(why), s);
    } else {
      disk_has(what, s);
    }
  }
  return std::move(s.out);
}

gateway_effects gateway_core::rewrite_journal(time_point_us now) {
  step s{now, {}};
  begin_fresh(s);
  return std::move(s.out);
}

void gateway_core::begin_fresh(step& s) {
  s.out.journal = {};
  s.out.journal.fresh = true;
  fresh_position_ = position_;  // write_down() writes
  s.out.journal.records.reserve(4 * jobs_.size() + 1);
  proto::JournalRecord head;
  head.mutable_segment()->set_format_version(1);
  head.mutable_segment()->set_node(settings_.node);
  head.mutable_segment()->set_epoch(settings_.epoch);
  write_down(std::move(head), s);
  for (const auto& [id, job] : jobs_) {
    if (!job.journaled) continue;
    write_down(taken_record(job, s.now), s);
    if (job.attempt > 0 || !job.lost_at.empty())
      write_attempt(job, job.phase == job_phase::running ? job.worker : std::string(), s);
    write_tokens(job, 0, s);
    if (!job.finished) continue;
    proto::JournalRecord end;
    *end.mutable_finished() = *job.finished;
    write_down(std::move(end), s);
  }
  fresh_position_ = position_;
  s.out.journal.urgent = true;
}

gateway_effects gateway_core::recover(std::vector<proto::JournalRecord> records,
                                      time_point_us now) {
  step s{now, {}};
  std::size_t ignored = 0;
  for (proto::JournalRecord& record : records) ignored += !replay(std::move(record), s);
  std::vector<std::string> unfinished;
  for (auto& [id, job] : jobs_) {
    if (!job.finished) unfinished.push_back(id);
    if (job.client.node().empty()) continue;
    proto::Envelope news = to_client(job);  // reaches those that outlived the gateway
    news.set_correlation(job.correlation);
    *news.mutable_error() = wire_error(
        proto::Error::UNAVAILABLE, "the gateway of node " + settings_.node + " was started again",
        "resume the stream");
    post(std::move(news), s);
    job.client_before = std::exchange(job.client, {});
  }
  const auto here = static_cast<std::size_t>(
      std::count_if(unfinished.begin(), unfinished.end(),
                    [&](const std::string& id) { return jobs_.at(id).worker == settings_.node; }));
  for (const std::string& id : unfinished) take_up_again(*find(id), here, s);
  if (!records.empty())
    s.out.log.push_back("journal_recovered records=" + std::to_string(records.size()) +
                        " jobs=" + std::to_string(jobs_.size()) + " unfinished=" +
                        std::to_string(unfinished.size()) + " ignored=" + std::to_string(ignored));
  begin_fresh(s);
  return std::move(s.out);
}

gateway_effects gateway_core::sessions_back(const std::string& prefix, time_point_us now) {
  step s{now, {}};
  for (auto& [id, job] : jobs_) {
    if (!job.client.node().empty() || !job.client_before.node().starts_with(prefix)) continue;
    job.client = job.client_before;
    job.detached_since.reset();
    job.sent = 0;
    job.sent_limit = job.pinned.tokens_max();
    proto::Envelope answer = to_client(job);
    answer.set_correlation(job.correlation);
    *answer.mutable_job_accepted() = job.pinned;
    answer.mutable_job_accepted()->set_attached(true);
    post(std::move(answer), s);
    pump(job, s);
  }
  return std::move(s.out);
}

// False: the record counts for nothing.
bool gateway_core::replay(proto::JournalRecord&& written, step& s) {
  proto::JournalRecord record = std::move(written);
  switch (record.kind_case()) {
    case proto::JournalRecord::kSegment:
      return true;
    case proto::JournalRecord::kTaken:
      return replay_taken(*record.mutable_taken(), s);
    case proto::JournalRecord::kAttempt: {
      const proto::JobAttempt& was = record.attempt();
      job_record* job = find(was.job_id());
      if (!job || job->finished) return false;
      job->attempt = was.attempt();
      job->failures = was.failures();
      job->worker = was.worker();
      job->numerics_class = was.numerics_class();
      job->lost_at.assign(was.lost_at().begin(), was.lost_at().end());
      job->lost_tokens = was.lost_tokens();
      return true;
    }
    case proto::JournalRecord::kTokens: {
      job_record* job = find(record.tokens().job_id());
      return job && !job->finished &&
             job->answer.take_held(record.tokens(), job->pinned.tokens_max(),
                                   wishes_of(job->asked.job()));
    }
    case proto::JournalRecord::kFinished:
      return replay_end(*record.mutable_finished(), s);
    case proto::JournalRecord::kForgotten: {
      const auto known = jobs_.find(record.forgotten());
      if (known == jobs_.end()) return false;
      if (!known->second.finished) --counters_.running;
      jobs_.erase(known);
      return true;
    }
    default:
      return false;
  }
}

bool gateway_core::replay_taken(proto::JobTaken& taken, step& s) {
  const std::string& id = taken.asked().job_id();
  if (id.size() != 16) return false;
  const auto [place, fresh] = jobs_.try_emplace(id);
  if (!fresh) return false;
  job_record& job = place->second;
  ++counters_.running;
  job.id = id;
  job.fingerprint = std::move(*taken.mutable_fingerprint());
  job.asked = std::move(*taken.mutable_asked());
  job.pinned = std::move(*taken.mutable_pinned());
  job.digest = job.pinned.model_digest();
  job.prompt_ids = std::move(*taken.mutable_prompt_ids());
  job.tenant = std::move(*taken.mutable_tenant());
  job.client = std::move(*taken.mutable_client());
  job.correlation = taken.correlation();
  job.trace = std::move(*taken.mutable_trace());
  job.deadline_at =
      s.now + milliseconds(std::min<std::uint64_t>(taken.deadline_ms(), deadline_ms_max));
  job.local_seconds = job.pinned.local_seconds();
  job.accepted = job.acknowledged = job.journaled = true;
  job.accepted_at = job.taken_at = s.now;
  return true;
}

// An end whose tokens are not all here (they were not synced) is reached again by computing.
bool gateway_core::replay_end(proto::JobFinished& finished, step& s) {
  job_record* job = find(finished.job_id());
  if (!job || job->finished) return false;
  const bool cut =
      finished.reason() == proto::FAILED || finished.reason() == proto::CANCELLED_BY_CLIENT;
  const std::uint32_t held = job->answer.size();
  if (!cut &&
      (finished.answer_tokens() != held || finished.running_hash() != job->answer.hash_at(held)))
    return false;
  job->finished = std::move(finished);
  job->finished_at = s.now;
  job->phase = job_phase::finished;
  --counters_.running;
  return true;
}

// `here`: how many ran in this process when it died.
void gateway_core::take_up_again(job_record& job, std::size_t here, step& s) {
  job.detached_since = s.now;
  job.patient_until = s.now + settings_.recovery_wait;
  job.first_class = job.answer.first_class();
  job.class_changed = job.answer.class_changed();
  job.phase = job_phase::waiting_for_node;
  proto::ObserveStep told = step_of(job, proto::STEP_TAKEN, s.now);
  told.set_model(job.pinned.model_name());
  told.set_tenant(job.tenant);
  told.set_because("the journal had it when this gateway began");
  tell(job, std::move(told), s);
  job.looked_up = job.answer.size() > 0;  // the caches have whole answers
  // A worker in this process died with the gateway, and this job may be why.
  if (job.worker == settings_.node) note_loss(job, job.worker, here == 1);
  if (suspected(job)) suspects_.insert(job.id);
  job.worker.clear();
  if (set_aside(job, s)) return;
  dispatch(job, s);
}

// Leaves a job to whoever reads the journal next, and its client to another gateway.
void gateway_core::suspend(job_record& job, const proto::Error& why, step& s) {
  stop_sequence(job, s);
  write_attempt(job, {}, s);
  if (!job.client.node().empty()) {
    proto::Envelope answer = to_client(job);
    answer.set_correlation(job.correlation);
    *answer.mutable_error() = why;
    post(std::move(answer), s);
  }
  s.out.log.push_back("job_suspended job=" + shown_id(job.id) +
                      " tokens=" + std::to_string(job.answer.size()));
  --counters_.running;
  suspects_.erase(job.id);
  jobs_.erase(job.id);
}

}  // namespace troupe::cluster
