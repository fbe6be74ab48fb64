// What monitoring hears of a job while it goes on. Nothing here waits or decides.
#include <algorithm>

#include "actors/monitoring/telemetry_bounds.hpp"
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

namespace troupe::cluster {
namespace {

proto::JobState state_of(const job_record& job) {
  switch (job.phase) {
    case job_phase::waiting_for_model:
      return proto::JOB_WAITING_FOR_MODEL;
    case job_phase::preparing:
      return proto::JOB_PREPARING;
    case job_phase::looking_up:
      return proto::JOB_LOOKING_UP;
    case job_phase::loading:
      return proto::JOB_LOADING;
    case job_phase::waiting_for_node:
      return proto::JOB_WAITING_FOR_NODE;
    case job_phase::running:
      return job.attempt_shown ? proto::JOB_RUNNING : proto::JOB_QUEUED;
    case job_phase::finished:
      break;
  }
  return proto::JOB_ENDED;
}

}  // namespace

proto::ObserveStep step_of(const job_record& job, proto::StepKind kind, time_point_us now) {
  proto::ObserveStep out;
  out.set_job_id(job.id);
  out.set_kind(kind);
  out.set_at_us(static_cast<std::uint64_t>(now.count()));
  out.set_attempt(job.attempt);
  return out;
}

proto::ObserveStep failed_step(const job_record& job, proto::StepKind kind, const proto::Error& why,
                               time_point_us now) {
  proto::ObserveStep out = step_of(job, kind, now);
  out.set_node(job.worker);
  out.set_tokens(job.answer.size());
  *out.mutable_error() = why;
  return out;
}

proto::ObserveStep ended_attempt(const job_record& job, const proto::SequenceFinished& ending,
                                 time_point_us now) {
  proto::ObserveStep out = step_of(job, proto::STEP_ATTEMPT_ENDED, now);
  out.set_node(job.worker);
  out.set_tokens(ending.answer_tokens());
  proto::WorkerTimes& told = *out.mutable_worker();
  told.set_queue_us(ending.queue_us());
  told.set_prefill_us(ending.prefill_us());
  told.set_decode_us(ending.decode_us());
  told.set_prefix_tokens(ending.prefix_tokens());
  told.set_engine(ending.engine());
  told.set_numerics_class(ending.numerics_class());
  told.set_batches(ending.batches());
  told.set_batch_mean(ending.batch_mean());
  return out;
}

void gateway_core::tell(const job_record& job, proto::ObserveStep what, step& s) const {
  if (!settings_.tells) return;
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(settings_.node);
  message->mutable_sender()->set_actor("gateway");
  message->mutable_target()->set_node(settings_.node);
  message->mutable_target()->set_actor("monitoring");
  *message->mutable_trace() = job.trace;
  *message->mutable_observe_step() = std::move(what);
  s.out.told.push_back(std::move(message));
}

void gateway_core::tell(const job_record& job, proto::StepKind kind, step& s,
                        const std::string& at) const {
  proto::ObserveStep what = step_of(job, kind, s.now);
  what.set_node(at);
  if (kind == proto::STEP_ROUTED || kind == proto::STEP_WAITING) what.set_because(job.because);
  tell(job, std::move(what), s);
}

void gateway_core::tell_end(const job_record& job, const proto::JobFinished& finished,
                            step& s) const {
  if (!settings_.tells) return;
  proto::Envelope told = to_node(job, settings_.node, "monitoring", s);
  *told.mutable_observe_job()->mutable_finished() = finished;
  told.mutable_observe_job()->mutable_finished()->clear_embedding();
  told.mutable_observe_job()->mutable_finished()->clear_prompt_log_probabilities();
  told.mutable_observe_job()->set_model(job.pinned.model_name());
  post(std::move(told), s);
}

// Its own node's monitoring asks; a client does not get to see others' jobs here.
void gateway_core::read_jobs(const proto::Envelope& message, step& s) const {
  if (message.sender().node() != settings_.node || message.sender().actor() != "monitoring") {
    s.out.messages.push_back(refuse(message, proto::Error::PERMISSION_DENIED,
                                    "a gateway tells its jobs to its node's monitoring",
                                    "ask monitoring for the picture"));
    return;
  }
  std::vector<const job_record*> running;
  for (const auto& [id, job] : jobs_)
    if (!job.finished) running.push_back(&job);
  const std::size_t told = std::min(running.size(), telemetry::jobs_shown_max);
  std::partial_sort(
      running.begin(), running.begin() + static_cast<std::ptrdiff_t>(told), running.end(),
      [](const job_record* a, const job_record* b) { return a->taken_at < b->taken_at; });
  proto::Envelope answer = reply_to(message);
  proto::JobsShown& shown = *answer.mutable_jobs_shown();
  shown.set_left_out(static_cast<std::uint32_t>(running.size() - told));
  for (std::size_t i = 0; i < told; ++i) {
    const job_record& job = *running[i];
    proto::JobShown& to = *shown.add_jobs();
    to.set_job_id(job.id);
    to.set_model(job.accepted ? job.pinned.model_name() : job.asked.job().model());
    to.set_state(state_of(job));
    to.set_gateway(settings_.node);
    to.set_worker(job.worker);
    to.set_tenant(job.tenant);
    to.set_attempt(job.attempt);
    to.set_prompt_tokens(job.pinned.prompt_tokens());
    to.set_answer_tokens(job.answer.size());
    to.set_tokens_max(job.pinned.tokens_max());
    to.set_age_ms(static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(s.now - job.taken_at).count()));
    to.set_queue_us(job.queue_us);
    to.set_because(job.because);
  }
  post(std::move(answer), s);
}

}  // namespace troupe::cluster
