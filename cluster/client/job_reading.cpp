#include "cluster/client/job_reading.hpp"

#include <utility>

#include "actors/running_hash.hpp"
#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

finish_reason reason_of(proto::FinishReason reason) {
  switch (reason) {
    case proto::END_OF_TEXT:
      return finish_reason::end_of_text;
    case proto::STOP_TEXT:
      return finish_reason::stop_text;
    case proto::LENGTH:
      return finish_reason::length;
    case proto::CANCELLED_BY_CLIENT:
      return finish_reason::cancelled;
    default:
      return finish_reason::failed;
  }
}

answer_source source_of(proto::AnswerSource source) {
  switch (source) {
    case proto::LOCAL_CACHE:
      return answer_source::local_cache;
    case proto::SHARED_CACHE:
      return answer_source::shared_cache;
    default:
      return answer_source::computed;
  }
}

std::vector<token_score> scores_of(const proto::TokenAlternatives& from) {
  std::vector<token_score> out;
  for (int i = 0; i < from.ids_size() && i < from.log_probabilities_size(); ++i)
    out.push_back({from.ids(i), from.log_probabilities(i)});
  return out;
}

}  // namespace

error error_of(const proto::Error& e) {
  return {static_cast<error_code>(e.code()), e.message(), e.mend()};
}

void job_reading::take(const proto::JobAccepted& accepted) {
  if (ended_) return;
  if (accepted_ && (accepted.sampling().seed() != pinned_.sampling().seed() ||
                    accepted.model_digest() != pinned_.model_digest()))
    return fail(
        {error_code::data_corrupt, "the gateway went on with another job", "submit the job again"});
  if (!accepted_) hash_ = running_hash_start;
  accepted_ = true;
  pinned_ = accepted;
  pinned_.clear_attached();
  report_.job_id = uuid_text(accepted.job_id());
  report_.model_name = accepted.model_name();
  report_.model_digest = accepted.model_digest();
  report_.prompt_tokens = accepted.prompt_tokens();
  report_.seed = accepted.sampling().seed();
}

void job_reading::take(const proto::JobTokens& frame) {
  if (ended_) return;
  if (!accepted_ || frame.ids().empty() || frame.first_index() != next_index_)
    return fail({error_code::data_corrupt,
                 "the gateway sent tokens from index " + std::to_string(frame.first_index()) +
                     " where " + std::to_string(next_index_) + " was due",
                 "submit the job again"});
  const std::uint64_t hash = running_hash_of(frame.ids(), hash_);
  if (hash != frame.running_hash())
    return fail({error_code::data_corrupt,
                 "the running hash does not hold after token " +
                     std::to_string(frame.first_index() + frame.ids_size() - 1),
                 "submit the job again"});
  if (frame.alternatives_size() != 0 && frame.alternatives_size() != frame.ids_size())
    return fail({error_code::data_corrupt,
                 "the gateway sent alternatives for " + std::to_string(frame.alternatives_size()) +
                     " of " + std::to_string(frame.ids_size()) + " tokens",
                 "submit the job again"});
  hash_ = hash;
  keep(frame);
  const bool scored = frame.log_probabilities_size() == frame.ids_size();
  for (int i = 0; i < frame.ids_size(); ++i) {
    token t;
    t.id = frame.ids(i);
    t.index = next_index_++;
    if (i + 1 == frame.ids_size()) t.text = frame.text();
    if (scored) t.log_probability = frame.log_probabilities(i);
    if (frame.alternatives_size() > 0) t.alternatives = scores_of(frame.alternatives(i));
    tokens_.push_back(std::move(t));
  }
}

void job_reading::take(const proto::JobFinished& finished) {
  if (ended_) return;
  const proto::Provenance& origin = finished.provenance();
  report_.reason = reason_of(finished.reason());
  report_.job_id = uuid_text(finished.job_id());
  report_.prompt_tokens = finished.prompt_tokens();
  report_.answer_tokens = finished.answer_tokens();
  report_.text_tail = finished.text_tail();
  report_.gateway_node = origin.gateway_node();
  report_.worker_node = origin.worker_node();
  report_.engine = origin.engine();
  report_.numerics_class = origin.numerics_class();
  report_.variant = origin.variant();
  report_.source = source_of(origin.source());
  report_.attempts = origin.attempts();
  report_.class_changed = origin.class_changed();
  report_.prefix_tokens = origin.prefix_tokens();
  report_.embedding.assign(finished.embedding().begin(), finished.embedding().end());
  report_.prompt_log_probabilities.assign(finished.prompt_log_probabilities().begin(),
                                          finished.prompt_log_probabilities().end());
  report_.queue_us = origin.queue_us();
  report_.prefill_us = origin.prefill_us();
  report_.decode_us = origin.decode_us();
  report_.first_token_us = origin.first_token_us();
  report_.total_us = origin.total_us();
  if (finished.reason() == proto::FAILED) return fail(error_of(finished.error()));
  const bool whole = report_.reason != finish_reason::cancelled;
  if (whole && (finished.answer_tokens() != next_index_ || finished.running_hash() != hash_))
    return fail({error_code::data_corrupt,
                 "the answer ended after " + std::to_string(finished.answer_tokens()) +
                     " tokens, " + std::to_string(next_index_) + " came",
                 "submit the job again"});
  ended_ = true;
}

void job_reading::fail(error why) {
  if (ended_) return;
  ended_ = true;
  report_.reason = finish_reason::failed;
  report_.failure = why;
  failure_ = std::move(why);
}

// Small frames are kept as larger ones.
void job_reading::keep(const proto::JobTokens& frame) {
  constexpr int tokens_max = 256;
  const auto can_be_cut = [](const proto::JobTokens& one) {
    return one.ids_size() == 1 || one.text_ends_size() == one.ids_size();
  };
  if (held_.empty() || held_.back().ids_size() + frame.ids_size() > tokens_max ||
      held_.back().numerics_class() != frame.numerics_class() || !can_be_cut(held_.back()) ||
      !can_be_cut(frame))
    return held_.push_back(frame);
  proto::JobTokens& last = held_.back();
  const auto before = static_cast<std::uint32_t>(last.text().size());
  if (last.text_ends().empty()) last.add_text_ends(before);
  if (frame.text_ends().empty())
    last.add_text_ends(before + static_cast<std::uint32_t>(frame.text().size()));
  for (const std::uint32_t end : frame.text_ends()) last.add_text_ends(before + end);
  last.mutable_text()->append(frame.text());
  last.mutable_ids()->MergeFrom(frame.ids());
  last.mutable_log_probabilities()->MergeFrom(frame.log_probabilities());
  last.mutable_alternatives()->MergeFrom(frame.alternatives());
  last.set_running_hash(frame.running_hash());
}

void job_reading::resume(proto::SubmitJob& job) {
  job.set_from_index(next_index_);
  if (accepted_) {
    *job.mutable_pinned() = pinned_;
    ++report_.resumed;
  }
  for (const proto::JobTokens& frame : held_) *job.add_held() = frame;
  const auto waiting = static_cast<std::uint32_t>(tokens_.size());
  job.set_credit_tokens(window_ > waiting ? window_ - waiting : 1);
  credit_limit_ = std::uint64_t{next_index_} + job.credit_tokens();
}

token job_reading::pop() {
  token out = std::move(tokens_.front());
  tokens_.pop_front();
  return out;
}

std::uint64_t job_reading::credit_due() {
  const std::uint64_t limit = std::uint64_t{next_index_} - tokens_.size() + window_;
  if (ended_ || limit < credit_limit_ + (window_ + 1) / 2) return 0;
  return credit_limit_ = limit;
}

}  // namespace troupe::client
