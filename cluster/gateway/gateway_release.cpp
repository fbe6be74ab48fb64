// A client frees what the nodes hold of a text: every node that has the model is asked, since the
// turns of a conversation may have been computed on several.
#include <algorithm>

#include "cluster/gateway/gateway_core.hpp"

namespace troupe::cluster {

// The tokens of a job that is known here, or those that are given. Blocks are found by their
// tokens, so that a wrong guess costs time and never an answer.
result<proto::ReleaseBlocks> gateway_core::blocks_meant(const proto::ReleasePrefix& wish) const {
  proto::ReleaseBlocks out;
  if (!wish.job_id().empty()) {
    if (!wish.model().empty() || !wish.ids().empty())
      return error{error_code::invalid_argument, "a job and tokens are both given",
                   "give one of them"};
    const auto found = jobs_.find(wish.job_id());
    if (found == jobs_.end() || !found->second.accepted)
      return error{error_code::not_found, "no job " + shown_id(wish.job_id()) + " at this gateway",
                   "give the model and the token ids instead"};
    const job_record& job = found->second;
    out.set_model_digest(job.digest);
    *out.mutable_ids() = job.prompt_ids;
    out.mutable_ids()->Add(job.answer.ids().begin(), job.answer.ids().end());
    return out;
  }
  if (wish.ids().empty() ||
      static_cast<std::uint64_t>(wish.ids_size()) * 4 > settings_.bounds.prompt_bytes_max)
    return error{error_code::invalid_argument,
                 std::to_string(wish.ids_size()) + " token ids to release",
                 "give a job, or 1 to " + std::to_string(settings_.bounds.prompt_bytes_max / 4) +
                     " ids (gateway.prompt_bytes_max)"};
  const auto digest = resolve_model(*view_, wish.model());
  if (!digest) return digest.failure();
  if (!*digest)
    return error{error_code::unavailable, "the file of model " + wish.model() + " is being read",
                 "try again"};
  out.set_model_digest(**digest);
  *out.mutable_ids() = wish.ids();
  return out;
}

void gateway_core::release(const proto::Envelope& message, step& s) {
  const auto meant = blocks_meant(message.release_prefix());
  if (!meant || releases_.size() >= settings_.releases_max) {
    const proto::Error why =
        meant ? wire_error(proto::Error::RESOURCE_EXHAUSTED, "too many releases wait", "try again")
              : wire_error(meant.failure());
    s.out.messages.push_back(refuse(message, why.code(), why.message(), why.mend()));
    return;
  }
  const std::uint64_t id = next_correlation_++;
  release_wish& wish = releases_[id];
  wish.asked = message;
  std::vector<proto::Envelope> questions;
  for (const member& m : view_->members) {
    // Whatever the view says of its state, which may be a heartbeat old.
    const bool holds = m.up && m.load.sequences_max > 0 &&
                       std::any_of(m.models.begin(), m.models.end(), [&](const auto& one) {
                         return one.digest() == meant->model_digest();
                       });
    if (!holds) continue;
    wish.waiting.insert(m.name);
    proto::Envelope question;
    question.mutable_sender()->set_node(settings_.node);
    question.mutable_sender()->set_actor("gateway");
    question.mutable_target()->set_node(m.name);
    question.mutable_target()->set_actor("inference");
    question.set_deadline_ms(static_cast<std::uint32_t>(settings_.release_wait.count()));
    question.set_correlation(next_correlation_++);
    *question.mutable_release_blocks() = *meant;
    requests_[question.correlation()] =
        request{request_kind::release, {}, id, m.name, "inference", s.now + settings_.release_wait};
    questions.push_back(std::move(question));
  }
  for (proto::Envelope& question : questions) post(std::move(question), s);
  if (questions.empty()) release_part(id, {}, nullptr, s);
}

// One node has answered, or will not; the last one ends it.
void gateway_core::release_part(std::uint64_t id, const std::string& node,
                                const proto::BlocksReleased* part, step& s) {
  const auto found = releases_.find(id);
  if (found == releases_.end()) return;
  release_wish& wish = found->second;
  if (part != nullptr) {
    wish.told.set_blocks_freed(wish.told.blocks_freed() + part->blocks_freed());
    wish.told.set_blocks_kept(wish.told.blocks_kept() + part->blocks_kept());
    wish.told.add_nodes(node);
  } else if (!node.empty()) {
    wish.told.add_nodes_silent(node);
  }
  wish.waiting.erase(node);
  if (!wish.waiting.empty()) return;
  proto::Envelope answer = reply_to(wish.asked);
  *answer.mutable_prefix_released() = wish.told;
  releases_.erase(found);
  post(std::move(answer), s);
}

}  // namespace troupe::cluster
