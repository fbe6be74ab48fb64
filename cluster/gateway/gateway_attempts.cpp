// The workers' side of the gateway: choosing a node, attempts, their frames, and going on
// elsewhere.
#include <algorithm>
#include <cmath>

#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

namespace troupe::cluster {
namespace {

// Unit length, as far as float goes; none where none was asked for.
bool embedding_fits(const google::protobuf::RepeatedField<float>& embedding, bool asked) {
  if (!asked) return embedding.empty();
  double squares = 0;
  for (const float value : embedding) squares += static_cast<double>(value) * value;
  return std::fabs(squares - 1) <= 1e-3;  // NaN does not
}

// One for each token of the prompt but the first; none where none were asked for.
bool scores_fit(const google::protobuf::RepeatedField<float>& scores, bool asked,
                std::uint32_t prompt_tokens) {
  if (!asked) return scores.empty();
  return static_cast<std::uint32_t>(scores.size()) + 1 == prompt_tokens &&
         std::all_of(scores.begin(), scores.end(),
                     [](float score) { return std::isfinite(score) && score <= 1e-3f; });
}

bool holds(const cluster_view& view, const std::string& node, const std::string& digest) {
  const member* m = view.find(node);
  return m && m->up && std::any_of(m->models.begin(), m->models.end(), [&](const auto& model) {
           return model.digest() == digest && model.state() != proto::FETCHING;
         });
}

}  // namespace

std::uint32_t gateway_core::sequences_at(const std::string& node) const {
  std::uint32_t count = 0;
  for (const auto& [id, job] : jobs_)
    count += !job.finished && job.phase == job_phase::running && job.worker == node;
  return count;
}

// A cached answer has neither alternatives, nor its tokens' bytes, nor an embedding, nor scores,
// and a client's word does not go in.
bool may_be_cached(const job_record& job) {
  const proto::JobSpecification& asked = job.asked.job();
  return answers(asked) && asked.alternatives() == 0 && !asked.token_bytes() && !job.brought_prefix;
}

// The index that the worker may compute up to: what the client has credit for; without a client,
// all of it, to be there when it returns.
std::uint64_t worker_goal(const job_record& job) {
  const std::uint64_t all = job.pinned.tokens_max();
  return job.detached_since ? all : std::min<std::uint64_t>(job.sent_limit, all);
}

// Which file the job means, once its digest is known.
void gateway_core::resolve(job_record& job, step& s) {
  const proto::SubmitJob& asked = job.asked;
  const auto digest = resolve_model(
      *view_, asked.has_pinned() ? asked.pinned().model_digest() : asked.job().model());
  if (!digest) {
    const bool settles = first_view_at_ && s.now < *first_view_at_ + settings_.settle_wait;
    if (settles && digest.failure().code == error_code::not_found) return;
    return refuse_job(job, wire_error(digest.failure()), s);
  }
  if (!*digest) return;
  job.digest = **digest;
  prepare(job, s);
}

// The prompt becomes tokens where the file is: here, or at any node that has it.
void gateway_core::prepare(job_record& job, step& s) {
  std::string node = settings_.node;
  if (!holds(*view_, node, job.digest)) {
    node.clear();
    for (const member& m : view_->members)
      if (node.empty() && !job.avoid.contains(m.name) && holds(*view_, m.name, job.digest))
        node = m.name;
  }
  if (node.empty())
    return refuse_job(job,
                      job.failures > 0 ? job.last_error
                                       : wire_error(proto::Error::UNAVAILABLE,
                                                    "no node that is up has the model any more"),
                      s);
  enter(job, job_phase::preparing);
  proto::Envelope message = to_node(job, node, "model_loader", s);
  proto::PreparePrompt& wish = *message.mutable_prepare_prompt();
  wish.set_model(job.digest);
  wish.set_text(job.asked.job().text());
  wish.set_parse_special(job.asked.job().parse_special());
  if (job.asked.job().has_chat()) {
    *wish.mutable_chat() = job.asked.job().chat();
    wish.set_local_seconds(job.local_seconds);
  }
  tell(job, proto::STEP_TOKENISE, s, node);
  ask(job, request_kind::prepare, std::move(message), settings_.prepare_wait, s);
}

// Picks the node for the next attempt, and sets out for it.
void gateway_core::dispatch(job_record& job, step& s) {
  drop_request(job);
  if (suspected(job) && another_suspect_runs(job)) {
    enter(job, job_phase::waiting_for_node);
    return job.waiting_since.reset();
  }
  worker_wish wish;
  wish.digest = job.digest;
  wish.numerics_class = job.first_class;
  wish.avoid = &job.avoid;
  wish.own_jobs = [this](const std::string& node) { return sequences_at(node); };
  if (answers(job.asked.job()))  // else every token is computed
    wish.prompt_ids = {job.prompt_ids.data(), static_cast<std::size_t>(job.prompt_ids.size())};
  wish.may_try = [&](const std::string& node) { return breakers_.allows(node, s.now); };
  wish.shuns = [&](const std::string& node) { return is_bad_company(job, node); };
  const std::optional<worker_choice> choice = choose_worker(*view_, wish);
  if (!choice) {
    wish.may_try = {};
    return wait_for_node(job, choose_worker(*view_, wish).has_value(), s);
  }
  job.waiting_since.reset();
  if (s.now < job.retry_at && job.refused_by.contains(choice->node)) {
    enter(job, job_phase::waiting_for_node);
    return;
  }
  breakers_.tried(choice->node, s.now);
  job.worker = choice->node;
  job.worker_incarnation = choice->incarnation;
  job.worker_ready = choice->ready && !job.must_load;
  job.numerics_class = choice->numerics_class;
  job.holders = choice->holders;
  job.because = choice->node + ": " + choice->because;
  tell(job, proto::STEP_ROUTED, s, choice->node);
  proceed(job, s);
}

// The next step toward a running sequence at the chosen worker.
void gateway_core::proceed(job_record& job, step& s) {
  const bool asks_cache = may_be_cached(job) && !job.asked.cache_bypass();
  if (!job.looked_up && asks_cache && !job.numerics_class.empty()) return look_up(job, s);
  if (!job.worker_ready) return load(job, s);
  start(job, s);
}

proto::AnswerKey key_of(const job_record& job, const std::string& numerics_class) {
  proto::AnswerKey key;
  key.set_format_version(1);
  key.set_model_digest(job.digest);
  key.set_tokenizer_digest(job.pinned.tokenizer_digest());
  key.set_numerics_class(numerics_class);
  *key.mutable_prompt_ids() = job.prompt_ids;
  *key.mutable_sampling() = job.pinned.sampling();
  key.set_tokens_max(job.pinned.tokens_max());
  *key.mutable_stop() = job.asked.job().stop();
  key.set_ignore_end(job.asked.job().ignore_end());
  return key;
}

void gateway_core::look_up(job_record& job, step& s) {
  job.looked_up = true;
  enter(job, job_phase::looking_up);
  proto::Envelope message = to_node(job, settings_.node, "cache_tier", s);
  *message.mutable_look_up_answer()->mutable_key() = key_of(job, job.numerics_class);
  tell(job, proto::STEP_LOOK_UP, s, settings_.node);
  ask(job, request_kind::look_up, std::move(message), settings_.look_up_wait, s);
}

void gateway_core::load(job_record& job, step& s) {
  enter(job, job_phase::loading);
  proto::Envelope message = to_node(job, job.worker, "model_loader", s);
  proto::LoadModel& wish = *message.mutable_load_model();
  wish.set_model(job.digest);
  for (const std::string& node : job.holders) wish.add_holders(node);
  tell(job, proto::STEP_LOAD, s, job.worker);
  ask(job, request_kind::load, std::move(message), settings_.load_wait, s);
}

void gateway_core::start(job_record& job, step& s) {
  enter(job, job_phase::running);
  job.must_load = false;
  if (job.first_class.empty()) job.first_class = job.numerics_class;
  if (job.answer.size() == 0) job.first_class = job.numerics_class;
  if (job.numerics_class != job.first_class) job.class_changed = true;
  job.answer.computed_by(job.numerics_class);
  ++job.attempt;
  job.fence = ++last_fence_;
  job.progress_at = job.granted_at = s.now;
  job.gap_since.reset();
  job.ending.reset();
  job.answer.forget_early();
  job.attempt_shown = false;
  const std::uint64_t held = job.answer.size();
  job.worker_limit = std::max(held, worker_goal(job));
  proto::Envelope message = to_node(job, job.worker, "inference", s);
  proto::StartSequence& wish = *message.mutable_start_sequence();
  wish.set_job_id(job.id);
  wish.mutable_fence()->set_gateway_epoch(settings_.epoch);
  wish.mutable_fence()->set_attempt(job.fence);
  wish.mutable_fence()->set_worker_incarnation(job.worker_incarnation);
  wish.set_model_digest(job.digest);
  *wish.mutable_prompt_ids() = job.prompt_ids;
  wish.mutable_forced_ids()->Add(job.answer.ids().begin(), job.answer.ids().end());
  *wish.mutable_sampling() = job.pinned.sampling();
  wish.set_tokens_max(job.pinned.tokens_max());
  *wish.mutable_stop() = job.asked.job().stop();
  wish.set_ignore_end(job.asked.job().ignore_end());
  wish.set_alternatives(job.asked.job().alternatives());
  wish.set_token_bytes(job.asked.job().token_bytes());
  wish.set_embed(job.asked.job().embed());
  wish.set_score(job.asked.job().score());
  wish.set_tenant(job.tenant);
  wish.set_priority(job.asked.priority());
  wish.set_credit_tokens(static_cast<std::uint32_t>(job.worker_limit - held));
  s.out.log.push_back("attempt_started job=" + shown_id(job.id) +
                      " attempt=" + std::to_string(job.attempt) + " worker=" + job.worker +
                      " forced_tokens=" + std::to_string(held));
  proto::ObserveStep told = step_of(job, proto::STEP_ATTEMPT, s.now);
  told.set_node(job.worker);
  told.set_tokens(static_cast<std::uint32_t>(held));
  tell(job, std::move(told), s);
  write_attempt(job, job.worker, s);
  // Answered by frames, not by a reply; the request stands for an Error from the way.
  ask(job, request_kind::start, std::move(message), milliseconds(0), s);
}

void gateway_core::stop_sequence(job_record& job, step& s) {
  drop_request(job);
  if (job.phase != job_phase::running) return;
  proto::Envelope message = to_node(job, job.worker, "inference", s);
  proto::StopSequence& wish = *message.mutable_stop_sequence();
  wish.set_job_id(job.id);
  wish.mutable_fence()->set_gateway_epoch(settings_.epoch);
  wish.mutable_fence()->set_attempt(job.fence);
  wish.mutable_fence()->set_worker_incarnation(job.worker_incarnation);
  post(std::move(message), s);
}

// The job that a worker's message belongs to; null (and counted) where it comes from an older
// attempt or another node.
job_record* gateway_core::fenced_job(const proto::Envelope& message, const std::string& job_id,
                                     const proto::Fence& fence) {
  job_record* job = find(job_id);
  if (job && job->phase == job_phase::running && message.sender().node() == job->worker &&
      message.sender().actor() == "inference" && fence.gateway_epoch() == settings_.epoch &&
      fence.attempt() == job->fence && fence.worker_incarnation() == job->worker_incarnation)
    return job;
  ++counters_.frames_fenced;
  return nullptr;
}

void gateway_core::take_tokens(const proto::Envelope& message, step& s) {
  const proto::SequenceTokens& frame = message.sequence_tokens();
  job_record* job = fenced_job(message, frame.job_id(), frame.fence());
  if (!job) return;
  job->progress_at = s.now;
  job->queue_us = frame.queue_us();
  const std::uint32_t held = job->answer.size();
  switch (job->answer.take(frame, job->pinned.tokens_max(), wishes_of(job->asked.job()))) {
    case answer_stream::taken::advanced:
      break;
    case answer_stream::taken::early:
      if (!job->gap_since) job->gap_since = s.now;
      return;
    case answer_stream::taken::repeated:
      ++counters_.frames_repeated;
      return;
    case answer_stream::taken::contradicts:
      ++counters_.frames_contradicting;
      return attempt_failed(
          *job,
          wire_error(proto::Error::DATA_CORRUPT,
                     "tokens at index " + std::to_string(frame.first_index()) + " from node " +
                         job->worker + " contradict those already held"),
          s);
    case answer_stream::taken::overflow:
      return attempt_failed(*job,
                            wire_error(proto::Error::UNAVAILABLE,
                                       "tokens are missing from node " + job->worker +
                                           " before index " + std::to_string(frame.first_index())),
                            s);
  }
  breakers_.succeeded(job->worker);
  clear_suspicion(*job);
  counters_.answer_tokens += job->answer.size() - held;
  if (!job->attempt_shown) {
    job->attempt_shown = true;
    tell(*job, proto::STEP_FIRST_TOKEN, s, job->worker);
  }
  if (!job->answer.has_gap()) job->gap_since.reset();
  write_tokens(*job, held, s);
  pump(*job, s);
  conclude(*job, s);
}

void gateway_core::take_finished(const proto::Envelope& message, step& s) {
  const proto::SequenceFinished& ending = message.sequence_finished();
  job_record* job = fenced_job(message, ending.job_id(), ending.fence());
  if (!job) return;
  job->progress_at = s.now;
  job->ending = ending;
  conclude(*job, s);
}

// Ends the job once its worker has said so and every token is here.
void gateway_core::conclude(job_record& job, step& s) {
  if (!job.ending) return;
  const proto::SequenceFinished ending = *job.ending;
  const std::uint32_t held = job.answer.size();
  if (ending.answer_tokens() > held && ending.answer_tokens() <= job.pinned.tokens_max()) {
    if (!job.gap_since) job.gap_since = s.now;
    return;
  }
  const bool known_reason = ending.reason() == proto::END_OF_TEXT ||
                            ending.reason() == proto::STOP_TEXT || ending.reason() == proto::LENGTH;
  if (ending.answer_tokens() != held || ending.running_hash() != job.answer.hash_at(held) ||
      job.answer.has_gap() || !known_reason ||
      !embedding_fits(ending.embedding(), job.asked.job().embed()) ||
      !scores_fit(ending.prompt_log_probabilities(), job.asked.job().score(),
                  job.pinned.prompt_tokens())) {
    ++counters_.frames_contradicting;
    return attempt_failed(
        job,
        wire_error(proto::Error::DATA_CORRUPT, "the end of the answer from node " + job.worker +
                                                   " does not fit the tokens that it sent"),
        s);
  }
  breakers_.succeeded(job.worker);
  finish_computed(job, ending, s);
}

void gateway_core::take_failed(const proto::Envelope& message, step& s) {
  const proto::SequenceFailed& failed = message.sequence_failed();
  job_record* job = fenced_job(message, failed.job_id(), failed.fence());
  if (job) attempt_failed(*job, failed.error(), s, said_by::node);
}

void gateway_core::raise_worker_credit(job_record& job, step& s) {
  if (job.phase != job_phase::running) return;
  const std::uint64_t limit = worker_goal(job);
  if (limit <= job.worker_limit) return;
  if (job.worker_limit <= job.answer.size()) job.progress_at = s.now;
  job.worker_limit = limit;
  grant_worker(job, s);
}

// Says how far the worker may go; again after silence, since a grant may be lost on its way.
void gateway_core::grant_worker(job_record& job, step& s) {
  job.granted_at = s.now;
  proto::Envelope message = to_node(job, job.worker, "inference", s);
  proto::GrantSequenceCredit& more = *message.mutable_grant_sequence_credit();
  more.set_job_id(job.id);
  more.mutable_fence()->set_gateway_epoch(settings_.epoch);
  more.mutable_fence()->set_attempt(job.fence);
  more.mutable_fence()->set_worker_incarnation(job.worker_incarnation);
  more.set_limit(job.worker_limit);
  post(std::move(message), s);
}

}  // namespace troupe::cluster
