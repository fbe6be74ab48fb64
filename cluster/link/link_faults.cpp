#include "cluster/link/link_faults.hpp"

#include <algorithm>

#include "cluster/link/link_loop.hpp"

namespace troupe::link {

void link_faults::begin(link_fault fault) {
  const std::lock_guard lock(guard_);
  fault_ = std::move(fault);
  until_us_ = fault_.until_us;
  from_us_ = fault_.from_us;
}

void link_faults::end() {
  until_us_ = 0;
}

bool link_faults::swallows(std::string_view peer, std::uint64_t now_us) const {
  if (!holds(now_us)) return false;
  const std::lock_guard lock(guard_);
  const bool gone = fault_.everyone ||
                    std::find(fault_.peers.begin(), fault_.peers.end(), peer) != fault_.peers.end();
  swallowed_ += gone;
  return gone;
}

std::uint64_t link_faults::delay_us(std::uint64_t now_us) const {
  if (!holds(now_us)) return 0;
  const std::lock_guard lock(guard_);
  return fault_.delay_us;
}

// Greetings carry the name of who sends them; everything later belongs to a session.
bool link_loop::swallowed(channel_id from, const frame_header& header,
                          std::span<const std::uint8_t> body, time_us now) const {
  if (!settings_.faults) return false;
  std::string name;
  const int size = static_cast<int>(body.size());
  if (header.kind == frame_kind::hello) {
    proto::LinkHello hello;
    if (hello.ParseFromArray(body.data(), size)) name = hello.name();
  } else if (header.kind == frame_kind::welcome) {
    proto::LinkWelcome welcome;
    if (welcome.ParseFromArray(body.data(), size)) name = welcome.hello().name();
  } else if (const auto found = sessions_.find(header.session); found != sessions_.end()) {
    name = found->second->peer->who.name;
  } else if (const session* s = session_on(from)) {
    name = s->peer->who.name;
  }
  return settings_.faults->swallows(name, now);
}

// Within a session: what is swallowed or held back counts as sent, as on a wire.
sent link_loop::send_sequenced(const session& s, zmq::message_t& frame, time_us now) {
  if (!settings_.faults) return sockets_->send(s.channel, frame);
  if (settings_.faults->swallows(s.peer->who.name, now)) return sent::yes;
  const time_us due = now + settings_.faults->delay_us(now);
  if (due == now && delayed_.empty()) return sockets_->send(s.channel, frame);
  delayed_.push_back(
      {std::max(due, delayed_.empty() ? due : delayed_.back().due), s.channel, std::move(frame)});
  held_back_ = true;
  return sent::yes;
}

void link_loop::send_delayed(time_us now) {
  for (; !delayed_.empty() && delayed_.front().due <= now; delayed_.pop_front())
    sockets_->send(delayed_.front().channel, delayed_.front().frame);  // lost ones are sent again
}

}  // namespace troupe::link
