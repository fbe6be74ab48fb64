#include "cluster/gateway/gateway_core.hpp"

#include <algorithm>

#include "actors/monitoring/span_ids.hpp"

namespace troupe::cluster {

bool may_send(const job_record& job);

proto::Error wire_error(proto::Error::Code code, std::string message, std::string mend) {
  proto::Error out;
  out.set_code(code);
  out.set_message(std::move(message));
  out.set_mend(std::move(mend));
  return out;
}

proto::Error wire_error(const error& e) {
  return wire_error(static_cast<proto::Error::Code>(e.code), e.message, e.mend);
}

gateway_core::gateway_core(gateway_settings settings)
    : settings_(std::move(settings)),
      breakers_(settings_.breaker_failures,
                {settings_.breaker_open_min, settings_.breaker_open_max, settings_.retry_jitter},
                settings_.retry_seed),
      draws_(~settings_.retry_seed),
      next_correlation_((settings_.epoch << 32) + 1) {
  auto alone = std::make_shared<cluster_view>();
  alone->self = settings_.node;
  view_ = std::move(alone);
}

gateway_effects gateway_core::receive(const proto::Envelope& message, time_point_us now) {
  step s{now, {}};
  switch (message.payload_case()) {
    case proto::Envelope::kSubmitJob:
      submit(message, s);
      break;
    case proto::Envelope::kGrantJobCredit:
      grant(message, s);
      break;
    case proto::Envelope::kCancelJob:
      cancel(message, s);
      break;
    case proto::Envelope::kReadCluster:
      read_cluster(message, s);
      break;
    case proto::Envelope::kReadJobs:
      read_jobs(message, s);
      break;
    case proto::Envelope::kReleasePrefix:
      release(message, s);
      break;
    case proto::Envelope::kSequenceTokens:
      take_tokens(message, s);
      break;
    case proto::Envelope::kSequenceFinished:
      take_finished(message, s);
      break;
    case proto::Envelope::kSequenceFailed:
      take_failed(message, s);
      break;
    case proto::Envelope::kError:
      if (message.correlation() == 0)  // an actor tells that it has forgotten what it was asked
        return actor_restarted(message.sender().node(), message.sender().actor(), now);
      reply_arrived(message, s);
      break;
    case proto::Envelope::kPromptPrepared:
    case proto::Envelope::kAnswerFound:
    case proto::Envelope::kAnswerMissing:
    case proto::Envelope::kModelLoaded:
    case proto::Envelope::kNodeStatus:
    case proto::Envelope::kBlocksReleased:
      reply_arrived(message, s);
      break;
    default:
      ++counters_.unexpected;
      if (message.correlation() != 0)
        s.out.messages.push_back(refuse(message, proto::Error::INVALID_ARGUMENT,
                                        "the gateway does not take this message"));
  }
  return std::move(s.out);
}

gateway_effects gateway_core::view_changed(cluster_view_ptr view, time_point_us now) {
  step s{now, {}};
  view_ = std::move(view);
  if (!first_view_at_) first_view_at_ = now;
  breakers_.keep_only(*view_);
  std::vector<std::string> waiting;
  for (const auto& [id, job] : jobs_)
    if (job.phase == job_phase::waiting_for_node || job.phase == job_phase::waiting_for_model)
      waiting.push_back(id);
  for (const std::string& id : waiting)
    if (job_record* job = find(id))
      job->phase == job_phase::waiting_for_node ? dispatch(*job, s) : resolve(*job, s);
  return std::move(s.out);
}

gateway_effects gateway_core::node_lost(const std::string& node, time_point_us now, bool died) {
  step s{now, {}};
  std::vector<std::string> gone;
  for (const auto& [id, job] : jobs_)
    if (job.client.node() == node) gone.push_back(id);
  for (const std::string& id : gone) detach(*find(id), s);
  for (auto at = status_reads_.begin(); at != status_reads_.end();)
    at = at->second.asked.sender().node() == node ? status_reads_.erase(at) : std::next(at);
  for (auto at = releases_.begin(); at != releases_.end();)
    at = at->second.asked.sender().node() == node ? releases_.erase(at) : std::next(at);
  fail_requests_to(node, {}, "is down", died, s);
  return std::move(s.out);
}

gateway_effects gateway_core::actor_restarted(const std::string& node, const std::string& actor,
                                              time_point_us now) {
  step s{now, {}};
  fail_requests_to(node, actor, "was started again", true, s);
  return std::move(s.out);
}

gateway_effects gateway_core::stop_accepting(bool end_running, time_point_us now) {
  step s{now, {}};
  stopping_ = true;
  if (!end_running) return std::move(s.out);
  const proto::Error why = wire_error(
      proto::Error::UNAVAILABLE, "node " + settings_.node + " stops", "submit at another node");
  std::vector<std::string> running;
  for (const auto& [id, job] : jobs_)
    if (!job.finished) running.push_back(id);
  for (const std::string& id : running) {
    job_record& job = *find(id);
    if (job.journaled && job.acknowledged)
      suspend(job, why, s);
    else
      job.accepted ? finish_early(job, proto::FAILED, why, s) : refuse_job(job, why, s);
  }
  return std::move(s.out);
}

void gateway_core::fail_requests_to(const std::string& node, const std::string& actor,
                                    const char* why, bool died, step& s) {
  std::vector<std::uint64_t> failed;
  std::size_t ran = 0;
  for (const auto& [correlation, r] : requests_)
    if (r.node == node && (actor.empty() || r.actor == actor)) {
      failed.push_back(correlation);
      ran += r.kind == request_kind::start;
    }
  for (const std::uint64_t correlation : failed) {
    auto found = requests_.find(correlation);
    if (found == requests_.end()) continue;
    request gone = std::move(found->second);
    requests_.erase(found);
    job_record* job = gone.kind == request_kind::start ? find(gone.job) : nullptr;
    if (died && job) note_loss(*job, node, ran == 1);
    const std::string who = actor.empty() ? "node " + node : actor + " at node " + node;
    request_failed(std::move(gone), wire_error(proto::Error::UNAVAILABLE, who + " " + why), s,
                   said_by::membership);
  }
}

gateway_effects gateway_core::tick(time_point_us now) {
  step s{now, {}};
  std::vector<std::uint64_t> late;
  for (const auto& [correlation, r] : requests_)
    if (r.deadline_at != time_point_us{} && now >= r.deadline_at) late.push_back(correlation);
  for (const std::uint64_t correlation : late) {
    auto found = requests_.find(correlation);
    if (found == requests_.end()) continue;
    request gone = std::move(found->second);
    requests_.erase(found);
    const std::string who = gone.actor + " at node " + gone.node;
    request_failed(std::move(gone),
                   wire_error(proto::Error::DEADLINE_EXCEEDED, who + " did not answer in time"), s,
                   said_by::gateway);
  }
  std::vector<std::string> active;
  for (const auto& [id, job] : jobs_)
    if (!job.finished) active.push_back(id);
  for (const std::string& id : active)
    if (job_record* job = find(id)) check_times(*job, s);
  forget_old(s);
  return std::move(s.out);
}

void gateway_core::check_times(job_record& job, step& s) {
  if (s.now >= job.deadline_at) {
    const proto::Error late = wire_error(
        proto::Error::DEADLINE_EXCEEDED,
        "the job's deadline passed after " + std::to_string(job.answer.size()) + " tokens",
        "allow more time, or ask for fewer tokens");
    return job.accepted ? finish_early(job, proto::FAILED, late, s) : refuse_job(job, late, s);
  }
  if (job.detached_since && s.now - *job.detached_since >= settings_.detach_grace)
    return abandon(job, "no client came back", s);
  if (job.phase == job_phase::waiting_for_node) {
    if (job.waiting_since && s.now - *job.waiting_since >= settings_.worker_wait &&
        s.now >= job.patient_until) {
      proto::Error none = job.last_error;
      if (none.code() == proto::Error::OK)
        none = wire_error(proto::Error::UNAVAILABLE, "no node that is up can compute",
                          "set inference.enabled on a node that has memory for the model");
      return finish_early(job, proto::FAILED, none, s);
    }
    return dispatch(job, s);
  }
  if (job.phase == job_phase::waiting_for_model) return resolve(job, s);
  if (job.phase != job_phase::running) return;
  if (job.gap_since && s.now - *job.gap_since >= settings_.gap_wait)
    return attempt_failed(job,
                          wire_error(proto::Error::UNAVAILABLE,
                                     "tokens after index " + std::to_string(job.answer.size()) +
                                         " did not come from node " + job.worker),
                          s);
  if (may_send(job) && s.now - job.progress_at >= settings_.progress_wait)
    return attempt_failed(job,
                          wire_error(proto::Error::DEADLINE_EXCEEDED,
                                     "node " + job.worker + " sent nothing for too long"),
                          s);
  if (may_send(job) && answers(job.asked.job()) &&
      s.now - std::max(job.progress_at, job.granted_at) >= settings_.credit_repeat)
    grant_worker(job, s);
}

void gateway_core::reply_arrived(const proto::Envelope& message, step& s) {
  auto found = requests_.find(message.correlation());
  if (found == requests_.end() || found->second.node != message.sender().node()) {
    ++counters_.unexpected;
    return;
  }
  request r = found->second;
  const bool ends = r.kind != request_kind::start || message.has_error();
  if (ends) requests_.erase(found);
  if (message.has_error()) return request_failed(std::move(r), message.error(), s, said_by::node);
  if (r.kind == request_kind::status && message.has_node_status())
    return status_part(r.gathering, r.node, &message.node_status(), s);
  if (r.kind == request_kind::release && message.has_blocks_released())
    return release_part(r.gathering, r.node, &message.blocks_released(), s);
  job_record* job = find(r.job);
  if (!job) return;
  if (r.kind == request_kind::prepare && message.has_prompt_prepared()) {
    accept(*job, message.prompt_prepared(), s);
  } else if (r.kind == request_kind::look_up && message.has_answer_found()) {
    const proto::CachedAnswer& answer = message.answer_found().answer();
    const bool fits = answer.numerics_class() == job->numerics_class &&
                      (answer.reason() == proto::END_OF_TEXT ||
                       answer.reason() == proto::STOP_TEXT || answer.reason() == proto::LENGTH) &&
                      job->answer.take_whole(answer, job->pinned.tokens_max());
    if (fits) return finish_cached(*job, message.answer_found(), s);
    tell(*job, proto::STEP_CACHE_MISSED, s, settings_.node);
    proceed(*job, s);
  } else if (r.kind == request_kind::look_up && message.has_answer_missing()) {
    tell(*job, proto::STEP_CACHE_MISSED, s, settings_.node);
    proceed(*job, s);
  } else if (r.kind == request_kind::load && message.has_model_loaded()) {
    job->worker_ready = true;
    job->numerics_class = message.model_loaded().model().numerics_class();
    tell(*job, proto::STEP_LOADED, s, job->worker);
    proceed(*job, s);
  } else if (ends) {
    request_failed(std::move(r),
                   wire_error(proto::Error::INTERNAL, "an answer that fits no question came from " +
                                                          message.sender().actor()),
                   s, said_by::gateway);
  } else {
    ++counters_.unexpected;
  }
}

void gateway_core::request_failed(request gone, const proto::Error& why, step& s, said_by who) {
  if (gone.kind == request_kind::status) return status_part(gone.gathering, gone.node, nullptr, s);
  if (gone.kind == request_kind::release)
    return release_part(gone.gathering, gone.node, nullptr, s);
  job_record* job = find(gone.job);
  if (!job) return;
  job->request = 0;
  switch (gone.kind) {
    case request_kind::look_up:  // a cache that is away costs time, never an answer
      tell(*job, proto::STEP_CACHE_MISSED, s, settings_.node);
      return proceed(*job, s);
    case request_kind::prepare: {
      const bool elsewhere =
          row_of(static_cast<error_code>(why.code())).retry == retry_by::runtime_elsewhere;
      job->last_error = why;
      job->avoid.insert(gone.node);
      if (!elsewhere || ++job->failures >= settings_.attempts_max) return refuse_job(*job, why, s);
      return prepare(*job, s);
    }
    default:
      return attempt_failed(*job, why, s, who);
  }
}

proto::Envelope gateway_core::to_node(const job_record& job, const std::string& node,
                                      const char* actor, step& s) const {
  proto::Envelope message;
  message.mutable_sender()->set_node(settings_.node);
  message.mutable_sender()->set_actor("gateway");
  message.mutable_target()->set_node(node);
  message.mutable_target()->set_actor(actor);
  message.set_attempt(job.attempt);
  const auto left = std::chrono::duration_cast<milliseconds>(job.deadline_at - s.now).count();
  message.set_deadline_ms(
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, UINT32_MAX)));
  *message.mutable_trace() = job.trace;
  if (job.phase == job_phase::running)
    message.mutable_trace()->set_span(attempt_span_id(job.id, job.attempt));
  return message;
}

proto::Envelope gateway_core::to_client(const job_record& job) const {
  proto::Envelope message;
  message.mutable_sender()->set_node(settings_.node);
  message.mutable_sender()->set_actor("gateway");
  *message.mutable_target() = job.client;
  message.set_attempt(job.attempt);
  *message.mutable_trace() = job.trace;
  return message;
}

void gateway_core::ask(job_record& job, request_kind kind, proto::Envelope message,
                       milliseconds wait, step& s) {
  drop_request(job);
  const std::uint64_t correlation = next_correlation_++;
  message.set_correlation(correlation);
  time_point_us deadline{};
  if (wait.count() > 0) {
    deadline = std::min<time_point_us>(s.now + wait, job.deadline_at);
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - s.now).count();
    message.set_deadline_ms(static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1)));
  }
  job.request = correlation;
  requests_[correlation] =
      request{kind, job.id, 0, message.target().node(), message.target().actor(), deadline};
  post(std::move(message), s);
}

void gateway_core::drop_request(job_record& job) {
  if (job.request != 0) requests_.erase(job.request);
  job.request = 0;
}

void gateway_core::post(proto::Envelope message, step& s) const {
  s.out.messages.push_back(std::make_shared<const proto::Envelope>(std::move(message)));
}

std::optional<job_phase> gateway_core::phase_of(const std::string& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? std::nullopt : std::optional(found->second.phase);
}

job_record* gateway_core::find(const std::string& id) {
  auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

}  // namespace troupe::cluster
