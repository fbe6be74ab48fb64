#include "cluster/node/switchboard.hpp"

#include <algorithm>
#include <mutex>

namespace troupe::cluster {

void switchboard::attach(const std::string& actor, role_handle handle) {
  const std::unique_lock lock{guard_};
  roles_[actor] = std::move(handle);
}

void switchboard::connect(link::endpoint* endpoint) {
  const std::unique_lock lock{guard_};
  endpoint_ = endpoint;
}

void switchboard::on_client_unreachable(std::function<void(const std::string&)> call) {
  const std::unique_lock lock{guard_};
  client_unreachable_ = std::move(call);
}

void switchboard::host_sessions(std::string prefix, std::function<void(envelope_ptr)> take) {
  const std::unique_lock lock{guard_};
  session_prefix_ = std::move(prefix);
  session_take_ = std::move(take);
}

bool switchboard::deliver_to_session(const envelope_ptr& message) const {
  std::function<void(envelope_ptr)> take;
  {
    const std::shared_lock lock{guard_};
    if (!session_take_ || !message->target().node().starts_with(session_prefix_)) return false;
    take = session_take_;
  }
  take(message);
  return true;
}

void switchboard::post(envelope_ptr message) {
  if (message->target().node() == node_) return deliver_here(message);
  if (deliver_to_session(message)) return;
  std::function<void(const std::string&)> client_unreachable;
  error why{error_code::unavailable, "the link is not open", "try again"};
  {
    const std::shared_lock lock{guard_};
    if (endpoint_) {
      const status sent = endpoint_->send(message);
      if (sent) return;
      why = sent.failure();
    }
    client_unreachable = client_unreachable_;
  }
  if (message->target().actor() == "client" && client_unreachable)
    client_unreachable(message->target().node());
  bounce(*message, static_cast<proto::Error::Code>(why.code), why.message, why.mend);
}

void switchboard::post_together(std::vector<envelope_ptr> messages) {
  if (messages.empty()) return;
  const role_handle handle = role_of(messages.front()->target().actor());
  if (handle && handle.deliver(messages)) return;
  for (const envelope_ptr& message : messages) return_refused(handle, *message);
}

role_handle switchboard::role_of(std::string_view actor) const {
  const std::shared_lock lock{guard_};
  const auto found = roles_.find(actor);
  return found == roles_.end() ? role_handle() : found->second;
}

void switchboard::deliver_here(const envelope_ptr& message) {
  const std::string& actor = message->target().actor();
  const role_handle handle = role_of(actor);
  loop_lane* const lane = actor == "gateway" ? lent_lane_.load() : nullptr;
  if (!handle || !handle.deliver(message, lane)) return_refused(handle, *message);
}

void switchboard::return_refused(const role_handle& handle, const proto::Envelope& message) {
  if (!handle)
    return bounce(message, proto::Error::NOT_FOUND,
                  "node " + node_ + " has no actor " + message.target().actor());
  const bool alive = handle.gauge()->alive;
  bounce(message, alive ? proto::Error::RESOURCE_EXHAUSTED : proto::Error::UNAVAILABLE,
         message.target().actor() + " at node " + node_ +
             (alive ? " has too many messages waiting" : " is being started again"),
         "try again");
}

void switchboard::bounce(const proto::Envelope& message, proto::Error::Code code, std::string why,
                         std::string mend) {
  if (message.correlation() == 0 || message.has_error()) return;
  envelope_ptr answer = refuse(message, code, std::move(why), std::move(mend));
  if (answer->target().node() == node_) return deliver_here(answer);
  if (deliver_to_session(answer)) return;
  const std::shared_lock lock{guard_};
  if (endpoint_) (void)endpoint_->send(std::move(answer)).ok();
}

void switchboard::arrive(const link::peer_view& from, std::span<envelope_ptr> messages,
                         inline_lane* lane) {
  // Runs for one actor are handed over whole; order between two actors is not promised.
  std::vector<envelope_ptr> run;
  const auto hand_over = [&] {
    if (run.empty()) return;
    const std::string& actor = run.front()->target().actor();
    const bool here =
        std::find(inline_roles.begin(), inline_roles.end(), actor) != inline_roles.end();
    const role_handle handle = role_of(actor);
    if (!handle || !handle.deliver(run, here ? lane : nullptr))
      for (const envelope_ptr& message : run)
        if (!handle || !handle.deliver(message)) return_refused(handle, *message);
    run.clear();
  };
  for (envelope_ptr& message : messages) {
    if (!admits(from, *message)) continue;
    if (!run.empty() && run.front()->target().actor() != message->target().actor()) hand_over();
    run.push_back(std::move(message));
  }
  hand_over();
  if (lane) lane->run();
}

bool switchboard::admits(const link::peer_view& from, const proto::Envelope& message) {
  const bool is_client = from.who.role == link::peer_role::client;
  const std::string& actor = message.target().actor();
  bool own_name = message.sender().node() == from.who.name;
  {
    const std::shared_lock lock{guard_};
    if (session_take_ && from.who.name.starts_with(session_prefix_)) own_name = false;
  }
  if (own_name && message.target().node() == node_ &&
      (!is_client ||
       std::find(client_reach.begin(), client_reach.end(), actor) != client_reach.end()))
    return true;
  ++rejected_;
  if (own_name)
    bounce(message, proto::Error::PERMISSION_DENIED,
           is_client
               ? "clients do not reach " + actor
               : "node " + node_ + " does not pass on messages for " + message.target().node());
  return false;
}

void switchboard::return_undelivered(const std::vector<envelope_ptr>& messages,
                                     const std::string& reason) {
  for (const envelope_ptr& message : messages)
    bounce(*message, proto::Error::UNAVAILABLE,
           "node " + message->target().node() + " is down: " + reason);
}

bool switchboard::notice(const std::string& actor, role_event_ptr event) const {
  return role_of(actor).deliver(std::move(event));
}

}  // namespace troupe::cluster
