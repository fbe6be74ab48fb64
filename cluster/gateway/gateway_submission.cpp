// The client's side of the gateway: submissions, credit, cancellation, and the tokens that leave.
#include <algorithm>

#include "actors/monitoring/span_ids.hpp"
#include "actors/running_hash.hpp"
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

namespace troupe::cluster {
namespace {

constexpr std::size_t shown_name_max = 128;

// A seed for a job that brought none: a function of the gateway's salt and the job's id
// (splitmix64's finaliser).
std::uint64_t drawn_seed(std::uint64_t salt, const std::string& job_id) {
  std::uint64_t x = salt;
  for (const char c : job_id) {
    x = (x ^ static_cast<unsigned char>(c)) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return x;
}

}  // namespace

void gateway_core::refuse_submission(const proto::Envelope& message, const error& why, step& s) {
  ++counters_.refused;
  const std::string id = shown_id(message.submit_job().job_id());
  s.out.log.push_back("job_refused job=" + id + " code=" + std::string(name_of(why.code)) +
                      " reason=\"" + why.message + "\"");
  s.out.messages.push_back(
      refuse(message, static_cast<proto::Error::Code>(why.code), why.message, why.mend));
}

void gateway_core::submit(const proto::Envelope& message, step& s) {
  const proto::SubmitJob& asked = message.submit_job();
  if (status fine = check_submission(asked, settings_.bounds); !fine)
    return refuse_submission(message, fine.failure(), s);
  if (job_record* known = find(asked.job_id())) return attach(*known, message, s);
  if (journal_failure_ && !asked.ephemeral())
    return refuse_submission(message, *journal_failure_, s);
  if (stopping_)
    return refuse_submission(
        message,
        {error_code::unavailable, "node " + settings_.node + " stops", "submit at another node"},
        s);
  if (counters_.running >= settings_.jobs_max)
    return refuse_submission(message,
                             {error_code::resource_exhausted,
                              std::to_string(counters_.running) + " jobs run at " + settings_.node,
                              "try again later, or raise gateway.jobs_max"},
                             s);
  const std::string& tenant = asked.tenant().empty() ? message.sender().node() : asked.tenant();
  if (settings_.tenant_jobs_max > 0 && running_of(tenant) >= settings_.tenant_jobs_max)
    return refuse_submission(message,
                             {error_code::resource_exhausted,
                              std::to_string(settings_.tenant_jobs_max) + " jobs of tenant " +
                                  tenant + " run at " + settings_.node,
                              "try again when one has ended, or raise gateway.tenant_jobs_max"},
                             s);
  const proto::SamplingParameters& sampling = asked.job().sampling();
  if (asked.from_index() > 0 && sampling.temperature() > 0 && !sampling.has_seed() &&
      !asked.has_pinned())
    return refuse_submission(message,
                             {error_code::invalid_argument,
                              "a stream cannot be resumed at token " +
                                  std::to_string(asked.from_index()) + " without the job's seed",
                              "give the seed that JobAccepted reported"},
                             s);

  job_record& job = jobs_[asked.job_id()];
  ++counters_.running;
  job.id = asked.job_id();
  job.fingerprint = fingerprint_of(asked.job());
  job.asked = asked;
  job.trace = context_of_job(message.trace(), job.id);
  job.taken_at = s.now;
  job.client = message.sender();
  job.local_seconds = asked.has_pinned() ? asked.pinned().local_seconds() : local_seconds_;
  job.tenant = tenant;
  job.correlation = message.correlation();
  const auto limit = std::chrono::duration_cast<time_point_us>(settings_.job_deadline);
  const time_point_us wished = milliseconds(message.deadline_ms());
  job.deadline_at = s.now + (message.deadline_ms() == 0 ? limit : std::min(limit, wished));
  take_credit(job, asked);
  proto::ObserveStep taken = step_of(job, proto::STEP_TAKEN, s.now);
  taken.set_model(asked.job().model().substr(0, shown_name_max));
  taken.set_tenant(job.tenant.substr(0, shown_name_max));
  taken.set_parent_span(message.trace().span());
  tell(job, std::move(taken), s);
  resolve(job, s);
}

std::uint32_t gateway_core::running_of(const std::string& tenant) const {
  std::uint32_t count = 0;
  for (const auto& [id, job] : jobs_) count += !job.finished && job.tenant == tenant;
  return count;
}

void gateway_core::take_credit(job_record& job, const proto::SubmitJob& asked) {
  const std::uint32_t credit =
      asked.credit_tokens() == 0 ? settings_.default_credit : asked.credit_tokens();
  job.sent = asked.from_index();
  job.sent_limit = std::uint64_t{job.sent} + credit;
}

void gateway_core::attach(job_record& job, const proto::Envelope& message, step& s) {
  const proto::SubmitJob& asked = message.submit_job();
  if (fingerprint_of(asked.job()) != job.fingerprint)
    return refuse_submission(
        message,
        {error_code::already_exists, "job " + shown_id(job.id) + " exists with another content",
         "make a new id for a new job"},
        s);
  if (job.finished && asked.from_index() > job.answer.size())
    return refuse_submission(
        message,
        {error_code::invalid_argument,
         "the stream is asked from token " + std::to_string(asked.from_index()) +
             ", the answer has " + std::to_string(job.answer.size()),
         "ask from a lower one"},
        s);
  if (!job.accepted) {
    *job.asked.mutable_held() = asked.held();
    if (asked.has_pinned()) *job.asked.mutable_pinned() = asked.pinned();
  } else if (status fits = take_held(job, asked, s); !fits) {
    return refuse_submission(message, fits.failure(), s);
  }
  const bool other_session = message.sender().node() != job.client.node();
  if (other_session && !job.client.node().empty() && !job.finished_sent) {
    proto::Envelope farewell = to_client(job);
    farewell.set_correlation(job.correlation);
    *farewell.mutable_error() = wire_error(
        proto::Error::CANCELLED, "another client took over the stream of job " + shown_id(job.id));
    post(std::move(farewell), s);
  }
  job.client = message.sender();
  job.correlation = message.correlation();
  job.finished_sent = false;
  if (job.detached_since) tell(job, proto::STEP_ATTACHED, s);
  job.detached_since.reset();
  take_credit(job, asked);
  if (!job.acknowledged) return;  // JobAccepted is on its way
  proto::Envelope answer = to_client(job);
  answer.set_correlation(job.correlation);
  *answer.mutable_job_accepted() = job.pinned;
  answer.mutable_job_accepted()->set_attached(true);
  post(std::move(answer), s);
  raise_worker_credit(job, s);
  pump(job, s);
}

void gateway_core::grant(const proto::Envelope& message, step& s) {
  const proto::GrantJobCredit& more = message.grant_job_credit();
  job_record* job = find(more.job_id());
  if (!job) {
    s.out.messages.push_back(refuse(message, proto::Error::NOT_FOUND,
                                    "no job " + shown_id(more.job_id()) + " at this gateway"));
    return;
  }
  if (message.sender().node() != job->client.node()) {  // the stream has another reader
    ++counters_.unexpected;
    return;
  }
  if (more.limit() <= job->sent_limit) return;  // said before
  job->sent_limit = more.limit();
  raise_worker_credit(*job, s);
  pump(*job, s);
}

void gateway_core::cancel(const proto::Envelope& message, step& s) {
  const std::string& id = message.cancel_job().job_id();
  job_record* job = find(id);
  if (!job) {
    s.out.messages.push_back(
        refuse(message, proto::Error::NOT_FOUND, "no job " + shown_id(id) + " at this gateway"));
    return;
  }
  if (!job->accepted) {
    refuse_job(*job, wire_error(proto::Error::CANCELLED, "the job was cancelled"), s);
  } else if (!job->finished) {
    finish_early(*job, proto::CANCELLED_BY_CLIENT, {}, s);
  } else if (!job->finished_sent) {  // computed, but the client wants no more of it
    job->sent = job->answer.size();
    pump(*job, s);
  }
  if (message.correlation() == 0) return;
  proto::Envelope answer = reply_to(message);
  job = find(id);
  const std::uint64_t position = job ? job->ended_position : 0;
  proto::JobFinished& finished = *answer.mutable_job_finished();
  if (job && job->finished) {
    finished = *job->finished;
  } else {
    finished.set_job_id(id);
    finished.set_reason(proto::CANCELLED_BY_CLIENT);
  }
  wait_for_disk({position, {}, std::move(answer)}, s);
}

// Ends a job that was not accepted: its submission is answered by an Error, and the id is free
// again.
void gateway_core::refuse_job(job_record& job, const proto::Error& why, step& s) {
  ++counters_.refused;
  s.out.log.push_back("job_refused job=" + shown_id(job.id) +
                      " code=" + std::string(name_of(static_cast<error_code>(why.code()))) +
                      " reason=\"" + why.message() + "\"");
  tell(job, failed_step(job, proto::STEP_REFUSED, why, s.now), s);
  if (!job.client.node().empty()) {
    proto::Envelope answer = to_client(job);
    answer.set_correlation(job.correlation);
    *answer.mutable_error() = why;
    post(std::move(answer), s);
  }
  forget(job.id, s);
}

void gateway_core::detach(job_record& job, step& s) {
  job.client.Clear();
  if (job.finished) return;  // kept for its client's return
  if (!job.accepted || job.asked.ephemeral() || settings_.detach_grace.count() == 0)
    return abandon(job, "its client is gone", s);
  job.detached_since = s.now;
  tell(job, proto::STEP_DETACHED, s);
  s.out.log.push_back("job_detached job=" + shown_id(job.id) +
                      " tokens=" + std::to_string(job.answer.size()));
  raise_worker_credit(job, s);
}

void gateway_core::abandon(job_record& job, const char* why, step& s) {
  stop_sequence(job, s);
  proto::ObserveStep gone = step_of(job, proto::STEP_ABANDONED, s.now);
  gone.set_because(why);
  tell(job, std::move(gone), s);
  s.out.log.push_back("job_abandoned job=" + shown_id(job.id) + " reason=\"" + why +
                      "\" tokens=" + std::to_string(job.answer.size()));
  ++counters_.cancelled;
  forget(job.id, s);
}

// Takes what a client that resumes brings. An attempt that runs is behind that: another goes on
// from there.
status gateway_core::take_held(job_record& job, const proto::SubmitJob& asked, step& s) {
  if (asked.held().empty()) return {};
  const std::uint32_t before = job.answer.size();
  const std::uint32_t most = job.finished ? before : job.pinned.tokens_max();
  answer_stream longer = job.answer;
  for (const proto::JobTokens& frame : asked.held())
    if (!longer.take_held(frame, most, wishes_of(job.asked.job())))
      return error{error_code::data_corrupt,
                   "prefix_lost: the client holds tokens from index " +
                       std::to_string(frame.first_index()) +
                       " that do not fit what is known of job " + shown_id(job.id),
                   "keep what you have, and submit the rest as a new job"};
  if (longer.size() == before) return {};
  job.answer = std::move(longer);
  job.brought_prefix = true;
  job.first_class = job.answer.first_class();
  job.class_changed |= job.answer.class_changed();
  write_tokens(job, before, s);
  if (job.phase != job_phase::running) return {};
  stop_sequence(job, s);
  dispatch(job, s);
  return {};
}

void gateway_core::accept(job_record& job, const proto::PromptPrepared& prepared, step& s) {
  if (job.asked.job().has_token_ids())
    job.prompt_ids = job.asked.job().token_ids().ids();
  else
    job.prompt_ids = prepared.ids();
  if (prepared.model_digest() != job.digest)
    return refuse_job(
        job,
        wire_error(proto::Error::UNAVAILABLE,
                   "the file of model " + job.asked.job().model() + " has changed", "submit again"),
        s);
  if (status fine = check_prompt_tokens(job.prompt_ids, prepared.context_tokens(),
                                        prepared.vocabulary_size());
      !fine)
    return refuse_job(job, wire_error(fine.failure()), s);
  if (status fine = check_bias_ids(job.asked.job().sampling(), prepared.vocabulary_size()); !fine)
    return refuse_job(job, wire_error(fine.failure()), s);
  const auto prompt = static_cast<std::uint32_t>(job.prompt_ids.size());
  proto::JobAccepted& pinned = job.pinned;
  pinned.set_job_id(job.id);
  pinned.set_model_name(prepared.model_name());
  pinned.set_model_digest(job.digest);
  pinned.set_tokenizer_digest(prepared.tokenizer_digest());
  *pinned.mutable_sampling() = pinned_sampling(
      job.asked.job().sampling(), job.asked.has_pinned() ? job.asked.pinned().sampling().seed()
                                                         : drawn_seed(settings_.seed_salt, job.id));
  pinned.set_prompt_tokens(prompt);
  if (answers(job.asked.job()))
    pinned.set_tokens_max(
        std::min(job.asked.job().tokens_max(), prepared.context_tokens() - prompt));
  pinned.set_local_seconds(job.local_seconds);
  pinned.set_prompt_hash(running_hash_of(job.prompt_ids));
  if (status same = check_pinned(job.asked, pinned); !same)
    return refuse_job(job, wire_error(same.failure()), s);
  if (journal_failure_ && !job.asked.ephemeral())
    return refuse_job(job, wire_error(*journal_failure_), s);
  if (status fits = take_held(job, job.asked, s); !fits)
    return refuse_job(job, wire_error(fits.failure()), s);
  job.accepted = true;
  job.accepted_at = s.now;
  ++counters_.accepted;
  job.asked.mutable_job()->clear_prompt();
  job.asked.clear_held();
  job.asked.clear_pinned();
  s.out.log.push_back("job_accepted job=" + shown_id(job.id) + " model=" + pinned.model_name() +
                      " prompt_tokens=" + std::to_string(prompt) +
                      " tokens_max=" + std::to_string(pinned.tokens_max()));
  proto::ObserveStep told = step_of(job, proto::STEP_ACCEPTED, s.now);
  told.set_model(pinned.model_name());
  told.set_tokens(prompt);
  tell(job, std::move(told), s);
  write_taken(job, s);
  dispatch(job, s);
}

void gateway_core::acknowledge(job_record& job, step& s) {
  job.acknowledged = true;
  if (job.client.node().empty()) return;
  proto::Envelope answer = to_client(job);
  answer.set_correlation(job.correlation);
  *answer.mutable_job_accepted() = job.pinned;
  post(std::move(answer), s);
  pump(job, s);
}

// Sends what the client's credit allows, and the end once everything before it has left.
void gateway_core::pump(job_record& job, step& s) {
  if (job.client.node().empty() || !job.acknowledged || job.finished_sent) return;
  while (job.sent < job.answer.size() && job.sent < job.sent_limit) {
    const std::uint64_t end = std::min<std::uint64_t>(
        {job.answer.size(), job.sent_limit, std::uint64_t{job.sent} + settings_.frame_tokens_max});
    proto::Envelope frame = to_client(job);
    proto::JobTokens& tokens = *frame.mutable_job_tokens();
    tokens = job.answer.cut(job.sent, static_cast<std::uint32_t>(end - job.sent));
    tokens.set_job_id(job.id);
    tokens.set_attempt(job.attempt);
    tokens.set_worker_node(job.worker);
    tokens.set_queue_us(job.queue_us);
    job.sent += static_cast<std::uint32_t>(tokens.ids_size());
    post(std::move(frame), s);
    if (!job.first_token_at) job.first_token_at = s.now;
  }
  if (!job.finished || job.finished_sent || !on_disk(job.ended_position)) return;
  const bool whole = job.finished->reason() != proto::FAILED &&
                     job.finished->reason() != proto::CANCELLED_BY_CLIENT;
  if (whole && job.sent < job.answer.size()) return;
  proto::Envelope end = to_client(job);
  *end.mutable_job_finished() = *job.finished;
  post(std::move(end), s);
  job.finished_sent = true;
}

}  // namespace troupe::cluster
