// How jobs end, what is told about it, and when they are forgotten.
#include <algorithm>

#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

namespace troupe::cluster {

proto::AnswerKey key_of(const job_record& job, const std::string& numerics_class);
bool may_be_cached(const job_record& job);

namespace {

std::uint64_t elapsed_us(const std::optional<time_point_us>& from, time_point_us to) {
  return from && to > *from ? static_cast<std::uint64_t>((to - *from).count()) : 0;
}

std::uint64_t kept_bytes(const job_record& job) {
  const auto numbers = static_cast<std::uint64_t>(job.finished->embedding_size()) +
                       static_cast<std::uint64_t>(job.finished->prompt_log_probabilities_size());
  return job.answer.bytes_held() + static_cast<std::uint64_t>(job.prompt_ids.size()) * 4 +
         numbers * 4;
}

}  // namespace

void gateway_core::finish_computed(job_record& job, const proto::SequenceFinished& ending,
                                   step& s) {
  tell(job, ended_attempt(job, ending, s.now), s);
  proto::JobFinished finished;
  finished.set_reason(ending.reason());
  finished.set_text_tail(ending.text_tail());
  proto::Provenance& origin = *finished.mutable_provenance();
  origin.set_worker_node(job.worker);
  origin.set_engine(ending.engine());
  origin.set_numerics_class(ending.numerics_class());
  origin.set_variant(ending.variant());
  origin.set_queue_us(ending.queue_us());
  origin.set_prefill_us(ending.prefill_us());
  origin.set_decode_us(ending.decode_us());
  origin.set_prefix_tokens(ending.prefix_tokens());
  *finished.mutable_embedding() = ending.embedding();
  *finished.mutable_prompt_log_probabilities() = ending.prompt_log_probabilities();
  if (!ending.numerics_class().empty() && ending.numerics_class() != job.first_class)
    job.class_changed = true;
  if (!job.class_changed && may_be_cached(job)) {
    proto::Envelope store = to_node(job, settings_.node, "cache_tier", s);
    *store.mutable_store_answer()->mutable_key() = key_of(job, job.first_class);
    proto::CachedAnswer& answer = *store.mutable_store_answer()->mutable_answer();
    answer = job.answer.whole();
    answer.mutable_text()->append(ending.text_tail());
    answer.set_reason(ending.reason());
    answer.set_worker_node(job.worker);
    answer.set_engine(ending.engine());
    answer.set_numerics_class(ending.numerics_class());
    answer.set_variant(ending.variant());
    post(std::move(store), s);
  }
  seal(job, std::move(finished), s);
}

void gateway_core::finish_cached(job_record& job, const proto::AnswerFound& found, step& s) {
  const proto::CachedAnswer& answer = found.answer();
  job.source = found.tier() == proto::SHARED_CACHE ? proto::SHARED_CACHE : proto::LOCAL_CACHE;
  const std::size_t text_end = job.answer.text().size();
  proto::JobFinished finished;
  finished.set_reason(answer.reason());
  finished.set_text_tail(answer.text().substr(text_end));
  proto::Provenance& origin = *finished.mutable_provenance();
  origin.set_worker_node(answer.worker_node());
  origin.set_engine(answer.engine());
  origin.set_numerics_class(answer.numerics_class());
  origin.set_variant(answer.variant());
  job.worker = answer.worker_node();
  counters_.answer_tokens += job.answer.size();
  tell(job, proto::STEP_CACHE_HIT, s, settings_.node);
  write_tokens(job, 0, s);
  pump(job, s);
  seal(job, std::move(finished), s);
}

void gateway_core::finish_early(job_record& job, proto::FinishReason reason,
                                const proto::Error& why, step& s) {
  stop_sequence(job, s);
  proto::JobFinished finished;
  finished.set_reason(reason);
  if (reason == proto::FAILED) *finished.mutable_error() = why;
  finished.mutable_provenance()->set_worker_node(job.worker);
  finished.mutable_provenance()->set_numerics_class(job.numerics_class);
  seal(job, std::move(finished), s);
}

// The one place where a job becomes finished.
void gateway_core::seal(job_record& job, proto::JobFinished finished, step& s) {
  drop_request(job);
  enter(job, job_phase::finished);
  suspects_.erase(job.id);
  job.finished_at = s.now;
  job.gap_since.reset();
  job.ending.reset();
  job.answer.forget_early();
  finished.set_job_id(job.id);
  finished.set_prompt_tokens(job.pinned.prompt_tokens());
  finished.set_answer_tokens(job.answer.size());
  finished.set_running_hash(job.answer.hash_at(job.answer.size()));
  proto::Provenance& origin = *finished.mutable_provenance();
  origin.set_gateway_node(settings_.node);
  origin.set_source(job.source);
  origin.set_attempts(job.attempt);
  origin.set_class_changed(job.class_changed);
  if (job.first_token_at)
    origin.set_first_token_us(elapsed_us(job.accepted_at, *job.first_token_at));
  origin.set_total_us(elapsed_us(job.accepted_at, s.now));
  --counters_.running;
  if (finished.reason() == proto::FAILED)
    ++counters_.failed;
  else if (finished.reason() == proto::CANCELLED_BY_CLIENT)
    ++counters_.cancelled;
  else
    ++counters_.finished;
  s.out.log.push_back(
      "job_finished job=" + shown_id(job.id) +
      " reason=" + proto::FinishReason_Name(finished.reason()) +
      " source=" + proto::AnswerSource_Name(job.source) + " worker=" + origin.worker_node() +
      " tokens=" + std::to_string(job.answer.size()) + " attempts=" + std::to_string(job.attempt) +
      " total_us=" + std::to_string(origin.total_us()));
  tell_end(job, finished, s);
  job.finished = std::move(finished);
  write_end(job, s);
  pump(job, s);
}

void gateway_core::forget(const std::string& id, step& s) {
  auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  drop_request(found->second);
  if (!found->second.finished) --counters_.running;
  if (found->second.journaled) {
    proto::JournalRecord record;
    record.set_forgotten(id);
    write_down(std::move(record), s);
  }
  suspects_.erase(id);
  jobs_.erase(found);
}

// Finished jobs leave by age, then oldest first while there are too many or they hold too much.
void gateway_core::forget_old(step& s) {
  std::vector<std::pair<time_point_us, std::string>> kept;
  std::uint64_t bytes = 0;
  for (const auto& [id, job] : jobs_) {
    if (!job.finished) continue;
    kept.emplace_back(job.finished_at, id);
    bytes += kept_bytes(job);
  }
  std::sort(kept.begin(), kept.end());
  std::size_t count = kept.size();
  for (const auto& [finished_at, id] : kept) {
    const bool old = s.now - finished_at > settings_.finished_kept_for;
    if (!old && count <= settings_.finished_jobs_kept && bytes <= settings_.kept_bytes_max) break;
    bytes -= kept_bytes(jobs_.at(id));
    --count;
    forget(id, s);
  }
}

}  // namespace troupe::cluster
