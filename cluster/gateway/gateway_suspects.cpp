// Jobs that may be why their workers died.
//
// Answers are the same wherever they are computed, and so is the token that a job kills its worker
// at: a job that got further since its last worker died is not the reason. One that was lost
// `worker_losses_max` times without a token in between may be, or may have run beside the reason.
// Suspects run one at a time, and not beside other jobs where there is another node. One whose
// worker dies again is set aside if nothing else of this gateway ran there; in any company it is
// after `losses_at_most` times as many.
#include "cluster/gateway/gateway_core.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

constexpr std::size_t losses_at_most = 4;

proto::Error poison(const job_record& job) {
  std::string nodes;
  for (const std::string& node : job.lost_at) nodes += (nodes.empty() ? "" : ", then ") + node;
  return wire_error(proto::Error::INTERNAL,
                    "poison: " + std::to_string(job.lost_at.size()) +
                        " workers died while they ran this job (" + nodes + ")" +
                        (job.convicted ? ", the last one with nothing beside it" : ""),
                    "read those nodes' logs before you submit it again");
}

}  // namespace

// Its attempt has credit for another token, or needs none.
bool may_send(const job_record& job) {
  return job.worker_limit > job.answer.size() || !answers(job.asked.job());
}

namespace {

// It computes, or is about to: one that waits for credit harms nobody.
bool under_way(const job_record& job) {
  return job.phase == job_phase::looking_up || job.phase == job_phase::loading ||
         (job.phase == job_phase::running && may_send(job));
}

}  // namespace

// One that went while it drained went on purpose. `alone`: nothing else of this gateway ran there.
void gateway_core::note_loss(job_record& job, const std::string& node, bool alone) {
  const member* m = view_->find(node);
  if (m && m->draining) return;
  clear_suspicion(job);
  job.lost_tokens = static_cast<std::uint32_t>(job.answer.size());
  job.convicted = alone && suspected(job);
  job.lost_at.push_back(node);
  if (suspected(job)) suspects_.insert(job.id);
}

// Once it has got further, the next suspect may run.
void gateway_core::clear_suspicion(job_record& job) {
  if (job.lost_at.empty() || job.answer.size() <= job.lost_tokens) return;
  job.lost_at.clear();
  suspects_.erase(job.id);
}

bool gateway_core::suspected(const job_record& job) const {
  return job.lost_at.size() >= settings_.worker_losses_max;
}

bool gateway_core::set_aside(job_record& job, step& s) {
  const bool enough = job.lost_at.size() >= losses_at_most * settings_.worker_losses_max;
  if (!job.convicted && !enough) return false;
  finish_early(job, proto::FAILED, poison(job), s);
  return true;
}

bool gateway_core::another_suspect_runs(const job_record& job) const {
  return std::any_of(suspects_.begin(), suspects_.end(), [&](const std::string& id) {
    const auto other = jobs_.find(id);
    return other != jobs_.end() && &other->second != &job && under_way(other->second);
  });
}

// Would the job run beside a suspect there, or a suspect beside it?
bool gateway_core::is_bad_company(const job_record& job, const std::string& node) const {
  if (suspects_.empty()) return false;
  if (suspected(job)) return sequences_at(node) > 0;
  return std::any_of(suspects_.begin(), suspects_.end(), [&](const std::string& id) {
    const auto other = jobs_.find(id);
    return other != jobs_.end() && other->second.worker == node && under_way(other->second);
  });
}

}  // namespace troupe::cluster
