#include "actors/stages/stage_desk.hpp"

#include <algorithm>

namespace troupe {

void stage_desk::address(proto::Envelope& message, const std::string& node) const {
  message.mutable_sender()->set_node(node_);
  message.mutable_sender()->set_actor("stage_desk");
  message.mutable_target()->set_node(node);
  message.mutable_target()->set_actor("stages");
}

std::uint64_t stage_desk::ask(proto::Envelope payload, const std::string& node,
                              std::chrono::milliseconds deadline, post_office& office) {
  const auto now = std::chrono::steady_clock::now();
  address(payload, node);
  payload.set_deadline_ms(static_cast<std::uint32_t>(deadline.count()));
  {
    const std::lock_guard lock{guard_};
    // Begins at the clock so that a reply to an earlier life of this process matches nothing.
    const auto clock =
        std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
    last_ = std::max(last_, static_cast<std::uint64_t>(clock.count()) << 8) + 1;
    payload.set_correlation(last_);
    open_[last_] = {node, now + deadline, nullptr, false};
  }
  const std::uint64_t asked = payload.correlation();
  office.post(std::make_shared<const proto::Envelope>(std::move(payload)));
  return asked;
}

void stage_desk::tell(proto::Envelope payload, const std::string& node, post_office& office) const {
  address(payload, node);
  office.post(std::make_shared<const proto::Envelope>(std::move(payload)));
}

result<envelope_ptr> stage_desk::wait(std::uint64_t asked) {
  std::unique_lock lock{guard_};
  const auto at = open_.find(asked);
  if (at == open_.end())
    return error{error_code::internal, "a stage's answer was waited for twice", {}};
  answered_.wait_until(lock, at->second.until,
                       [&] { return at->second.reply || at->second.lost || closed_; });
  const open_question done = std::move(at->second);
  open_.erase(at);
  if (!done.reply) {
    if (done.lost || closed_)
      return error{error_code::unavailable,
                   done.lost ? "node " + done.node + ", which computes a part of the model, is down"
                             : "this node stops",
                   "try again"};
    return error{
        error_code::deadline_exceeded,
        "node " + done.node + ", which computes a part of the model, did not answer in time",
        "look at its load and at the link; stages.step_wait is the limit of a step"};
  }
  if (done.reply->has_error()) {
    const proto::Error& why = done.reply->error();
    return error{static_cast<error_code>(why.code()), "node " + done.node + ": " + why.message(),
                 why.mend()};
  }
  return done.reply;
}

void stage_desk::take(envelope_ptr reply) {
  const std::lock_guard lock{guard_};
  const auto at = open_.find(reply->correlation());
  if (at == open_.end() || at->second.reply) return;
  if (reply->sender().node() != at->second.node) return;  // another one's word
  at->second.reply = std::move(reply);
  answered_.notify_all();
}

void stage_desk::lose_node(const std::string& node) {
  const std::lock_guard lock{guard_};
  for (auto& [asked, question] : open_)
    if (question.node == node) question.lost = true;
  answered_.notify_all();
}

void stage_desk::close() {
  const std::lock_guard lock{guard_};
  closed_ = true;
  answered_.notify_all();
}

}  // namespace troupe
