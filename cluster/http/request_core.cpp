#include "cluster/http/request_core.hpp"

#include <algorithm>
#include <set>

#include "actors/monitoring/span_ids.hpp"
#include "actors/running_hash.hpp"
#include "cluster/client/uuid.hpp"
#include "cluster/http/trace_parent.hpp"

namespace troupe::http {
namespace {

api_error broken(std::string message) {
  return api_error_of(error_code::data_corrupt, std::move(message), "send the request again");
}

}  // namespace

request_core::request_core(asked_work work, const std::vector<std::string>& ids,
                           request_origin origin, std::int64_t created_s)
    : work_(std::move(work)),
      origin_(std::move(origin)),
      writer_(make_writer(work_.plan, {client::uuid_text(ids.at(0)), created_s})),
      answers_(work_.jobs.size()),
      unwritten_(work_.jobs.size()),
      leaving_(work_.jobs.size()),
      written_(work_.jobs.size()),
      granted_for_(work_.jobs.size()) {
  for (std::size_t i = 0; i < work_.jobs.size(); ++i) {
    proto::SubmitJob& job = work_.jobs[i];
    answers_[i].running_hash = running_hash_start;
    job.set_job_id(ids.at(i));
    job.set_tenant(origin_.tenant);
    job.set_credit_tokens(work_.plan.streams ? credit_tokens : job.job().tokens_max());
  }
}

proto::Envelope request_core::to_gateway() const {
  proto::Envelope out;
  out.mutable_sender()->set_node(origin_.session);
  out.mutable_sender()->set_actor("client");
  out.mutable_target()->set_node(origin_.node);
  out.mutable_target()->set_actor("gateway");
  return out;
}

std::vector<proto::Envelope> request_core::submissions() const {
  std::vector<proto::Envelope> out;
  for (std::size_t i = 0; i < work_.jobs.size(); ++i) {
    out.push_back(to_gateway());
    out.back().set_correlation(i + 1);
    if (origin_.trace.span() != 0) *out.back().mutable_trace() = origin_.trace;
    *out.back().mutable_submit_job() = work_.jobs[i];
    out.back().mutable_submit_job()->set_ephemeral(true);  // a request that is gone has no second
  }
  return out;
}

std::optional<std::size_t> request_core::index_of(const std::string& job_id) const {
  for (std::size_t i = 0; i < work_.jobs.size(); ++i)
    if (work_.jobs[i].job_id() == job_id) return i;
  return std::nullopt;
}

void request_core::take(const proto::Envelope& message) {
  if (done()) return;
  switch (message.payload_case()) {
    case proto::Envelope::kError:
      return fail(api_error_of(message.error()));
    case proto::Envelope::kJobAccepted:
      if (auto i = index_of(message.job_accepted().job_id())) {
        answers_[*i].accepted = message.job_accepted();
      }
      return;
    case proto::Envelope::kJobTokens:
      if (auto i = index_of(message.job_tokens().job_id())) take_tokens(*i, message.job_tokens());
      return;
    case proto::Envelope::kJobFinished:
      if (auto i = index_of(message.job_finished().job_id()))
        take_finished(*i, message.job_finished());
      return;
    default:
      return;
  }
}

void request_core::take_tokens(std::size_t index, const proto::JobTokens& tokens) {
  answer_state& answer = answers_[index];
  if (answer.finished) return;
  if (!answer.accepted || tokens.first_index() != answer.token_count)
    return fail(broken("tokens came from index " + std::to_string(tokens.first_index()) +
                       " where " + std::to_string(answer.token_count) + " was due"));
  answer.running_hash = running_hash_of(tokens.ids(), answer.running_hash);
  if (answer.running_hash != tokens.running_hash())
    return fail(
        broken("the running hash does not hold after token " + std::to_string(answer.token_count)));
  answer.token_count += static_cast<std::uint32_t>(tokens.ids_size());
  answer.attempt = tokens.attempt();
  answer.worker_node = tokens.worker_node();
  answer.queue_us = tokens.queue_us();
  if (work_.plan.streams) {
    output_ += writer_->frame(index, answer, tokens);
    unwritten_[index] += static_cast<std::uint32_t>(tokens.ids_size());
    begun_ = true;
    return;
  }
  answer.text += tokens.text();
  if (!work_.plan.log_probabilities) return;
  answer.tokens.mutable_ids()->MergeFrom(tokens.ids());
  answer.tokens.mutable_log_probabilities()->MergeFrom(tokens.log_probabilities());
  answer.tokens.mutable_alternatives()->MergeFrom(tokens.alternatives());
  answer.tokens.mutable_token_bytes()->MergeFrom(tokens.token_bytes());
}

void request_core::take_finished(std::size_t index, const proto::JobFinished& finished) {
  answer_state& answer = answers_[index];
  if (answer.finished) return;
  if (finished.reason() == proto::FAILED) return fail(api_error_of(finished.error()));
  if (finished.reason() == proto::CANCELLED_BY_CLIENT)
    return fail(api_error_of(error_code::cancelled, "the job was cancelled"));
  if (finished.answer_tokens() != answer.token_count)
    return fail(broken("the answer ended after " + std::to_string(finished.answer_tokens()) +
                       " tokens, " + std::to_string(answer.token_count) + " came"));
  answer.finished = finished;
  answer.attempt = finished.provenance().attempts();
  answer.worker_node = finished.provenance().worker_node();
  answer.queue_us = finished.provenance().queue_us();
  ++ended_;
  begun_ = true;
  if (work_.plan.streams) {
    output_ += writer_->ending(index, answer);
    if (ended_ == answers_.size()) output_ += writer_->last(answers_);
    return;
  }
  answer.text += finished.text_tail();
  if (ended_ == answers_.size()) output_ = writer_->whole(answers_);
}

void request_core::fail(api_error why) {
  if (done()) return;
  if (work_.plan.streams && begun_) output_ += writer_->failed(why);
  failure_ = std::move(why);
}

bool request_core::begun() const {
  return work_.plan.streams ? begun_ : ended_ == answers_.size();
}

std::string request_core::take_output() {
  if (!begun()) return {};
  for (std::size_t i = 0; i < unwritten_.size(); ++i)
    leaving_[i] += std::exchange(unwritten_[i], 0);
  return std::exchange(output_, {});
}

std::vector<proto::Envelope> request_core::written() {
  std::vector<proto::Envelope> out;
  for (std::size_t i = 0; i < leaving_.size(); ++i) {
    written_[i] += std::exchange(leaving_[i], 0);
    if (written_[i] - granted_for_[i] < credit_tokens / 2) continue;
    if (answers_[i].finished || failure_) continue;
    granted_for_[i] = written_[i];
    out.push_back(grant_of(i));
  }
  return out;
}

std::vector<proto::Envelope> request_core::credit() const {
  std::vector<proto::Envelope> out;
  for (std::size_t i = 0; i < work_.jobs.size() && work_.plan.streams && !failure_; ++i)
    if (answers_[i].accepted && !answers_[i].finished) out.push_back(grant_of(i));
  return out;
}

proto::Envelope request_core::grant_of(std::size_t index) const {
  proto::Envelope out = to_gateway();
  out.mutable_grant_job_credit()->set_job_id(work_.jobs[index].job_id());
  out.mutable_grant_job_credit()->set_limit(written_[index] + credit_tokens);
  return out;
}

std::vector<std::pair<std::string, std::string>> request_core::headers() const {
  std::vector<std::pair<std::string, std::string>> out = {{"troupe-gateway", origin_.node}};
  out.emplace_back("troupe-job", client::uuid_text(work_.jobs[0].job_id()));
  out.emplace_back("traceparent",
                   trace_parent_of(context_of_job(origin_.trace, work_.jobs[0].job_id())));
  std::set<std::string> nodes;
  std::uint32_t attempts = 0;
  std::uint64_t queue_us = 0;
  for (const answer_state& answer : answers_) {
    if (answer.worker_node.empty()) continue;
    nodes.insert(answer.worker_node);
    attempts = std::max(attempts, answer.attempt);
    queue_us = std::max(queue_us, answer.queue_us);
  }
  if (nodes.empty()) return out;  // the head could not wait for it
  out.emplace_back("troupe-node", joined(nodes));
  out.emplace_back("troupe-attempts", std::to_string(attempts));
  out.emplace_back("troupe-queue-ms", std::to_string(queue_us / 1000));
  return out;
}

}  // namespace troupe::http
