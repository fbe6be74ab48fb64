// What a failed attempt leads to: another elsewhere at once, the same node after a pause, or the
// job's end; and which nodes are left alone for a while.
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/gateway/job_steps.hpp"

namespace troupe::cluster {
namespace {

// May another attempt do better? The table of config/outcome.hpp, and a full or forgetful worker.
bool worth_another_attempt(proto::Error::Code code) {
  const auto ours = static_cast<error_code>(code);
  return row_of(ours).retry == retry_by::runtime_elsewhere ||
         ours == error_code::resource_exhausted || ours == error_code::not_found ||
         ours == error_code::deadline_exceeded || ours == error_code::data_corrupt;
}

}  // namespace

// The way through `job.worker` did not lead to an answer: try another, or fail the job.
void gateway_core::attempt_failed(job_record& job, const proto::Error& why, step& s, said_by who) {
  stop_sequence(job, s);
  if (who == said_by::membership)  // no fault of the job: it waits for whoever comes back
    job.patient_until = std::max<time_point_us>(job.patient_until, s.now + settings_.recovery_wait);
  else
    ++job.failures;
  ++counters_.attempts_restarted;
  job.last_error = why;
  job.must_load = true;
  enter(job, job_phase::waiting_for_node);
  if (why.code() != proto::Error::NOT_FOUND) job.avoid.insert(job.worker);
  s.out.log.push_back("attempt_failed job=" + shown_id(job.id) +
                      " attempt=" + std::to_string(job.attempt) + " worker=" + job.worker +
                      " held_tokens=" + std::to_string(job.answer.size()) + " reason=\"" +
                      why.message() + "\"");
  tell(job, failed_step(job, proto::STEP_ATTEMPT_FAILED, why, s.now), s);
  note_failure(job, why, who, s);
  if (!worth_another_attempt(why.code())) return finish_early(job, proto::FAILED, why, s);
  if (set_aside(job, s)) return;
  if (job.failures >= settings_.attempts_max) {
    proto::Error last = why;
    last.set_message(std::to_string(job.failures) + " attempts failed; the last one at node " +
                     job.worker + ": " + why.message());
    return finish_early(job, proto::FAILED, last, s);
  }
  dispatch(job, s);
}

// What the failure says of the node: to this job, which does not go back at once to who refused it,
// and to all, when the node fails again and again.
void gateway_core::note_failure(job_record& job, const proto::Error& why, said_by who, step& s) {
  const bool refusal =
      why.code() == proto::Error::RESOURCE_EXHAUSTED || why.code() == proto::Error::UNAVAILABLE;
  if (who == said_by::node && refusal) {
    job.refused_by.insert(job.worker);
    const back_off pauses{settings_.retry_min, settings_.retry_max, settings_.retry_jitter};
    job.retry_at = s.now + pauses.pause(job.failures, draws_.next());
  }
  if (who == said_by::membership || !node_breakers::counts(why.code())) return;
  if (breakers_.failed(job.worker, s.now))
    s.out.log.push_back("breaker_opened node=" + job.worker + " reason=\"" + why.message() + "\"");
}

// Nobody can take the job now. Nodes that rest will be tried again, and are waited for until then.
void gateway_core::wait_for_node(job_record& job, bool some_rest, step& s) {
  enter(job, job_phase::waiting_for_node);
  if (job.waiting_since) return;
  job.waiting_since = s.now;
  job.because = some_rest ? "every node that could compute it rests after failures"
                          : "no node that is up can compute it";
  const auto refused = some_rest ? std::nullopt : load_refusal_of(*view_, job.digest);
  if (refused) {
    job.because = refused->why.message;
    job.last_error = wire_error(static_cast<proto::Error::Code>(refused->why.code),
                                refused->why.message, refused->why.mend);
    if (refused->waits)
      job.patient_until =
          std::max<time_point_us>(job.patient_until, s.now + settings_.recovery_wait);
  }
  tell(job, proto::STEP_WAITING, s);
  if (!some_rest) return;
  job.patient_until = std::max<time_point_us>(
      job.patient_until, s.now + settings_.worker_wait + settings_.breaker_open_max);
  if (job.last_error.code() == proto::Error::OK)
    job.last_error = wire_error(proto::Error::UNAVAILABLE,
                                "every node that could compute this has failed again and again",
                                "look at troupe status, and submit again");
}

}  // namespace troupe::cluster
