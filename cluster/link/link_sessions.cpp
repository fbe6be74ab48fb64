// How link_loop carries out what the peering core decides, and what it reports.
#include <algorithm>

#include "cluster/link/link_loop.hpp"

namespace troupe::link {
namespace {

constexpr std::size_t undelivered_listed_max = 1024;
constexpr std::size_t ended_kept_max = 64;

}  // namespace

void link_loop::carry_out(time_us now) {
  while (!effects_.empty()) {
    const peering_core::effects todo = std::exchange(effects_, {});
    for (const peering_effect& effect : todo) {
      if (effect.kind == peering_effect::what::send_control) {
        send_control(effect, now);
      } else if (effect.kind == peering_effect::what::open_session) {
        open_session(effect, now);
      } else if (effect.kind == peering_effect::what::dial_refused) {
        dial_trouble_ = error{error_code::permission_denied,
                              sockets_->address_of(effect.channel) + ": " + effect.reason,
                              "compare the names and keys of both sides (`troupe keys list`)"};
      } else if (const auto found = sessions_.find(effect.session); found != sessions_.end()) {
        session& s = *found->second;
        if (effect.kind == peering_effect::what::end_session) {
          s.core.end(effect.reason);
          finish(s, now);
          continue;
        }
        s.up = true;
        submitted_.open(s.peer->who.name, s.number);
        std::erase_if(ended_, [&](const auto& old) { return old.peer() == s.peer->who.name; });
        events_.push_back({link_event::what::up, s.peer, {}, {}});
        s.core.probe();  // confirms the session to the peer
        mark_busy(s);
      }
    }
  }
}

credential link_loop::holder_of(channel_id channel, zmq::message_t& frame) const {
  if (!settings_.security.on()) return {};
  return credential_of(settings_.security, sockets_->key_of(channel, frame),
                       socket_set::is_dial(channel));
}

void link_loop::allow(keys::allow_list allowed, time_us now) {
  settings_.security.allowed = std::move(allowed);
  sockets_->allow(settings_.security.allowed);
  peering_.review([this](const keys::public_key& key,
                         bool dialled) { return credential_of(settings_.security, key, dialled); },
                  now, effects_);
  carry_out(now);
}

void link_loop::shut_down(time_us now) {
  close(now);
  shut_ = true;
  for (const auto& [address, channel] : dialled_) peering_.remove_dial(channel, effects_);
  effects_.clear();
  dialled_.clear();
  sockets_->shut();
}

void link_loop::send_control(const peering_effect& effect, time_us now) {
  frame_header header;
  header.kind = effect.control;
  header.session = effect.session;
  header.body_bytes = header.raw_bytes = static_cast<std::uint32_t>(effect.body.size());
  header.sent_at = now;
  zmq::message_t frame(header_bytes + effect.body.size());
  encode_header(header, frame.data<std::uint8_t>());
  std::copy(effect.body.begin(), effect.body.end(), frame.data<char>() + header_bytes);
  seal_frame({frame.data<std::uint8_t>(), frame.size()});
  if (settings_.faults && settings_.faults->swallows(effect.peer.name, now)) return;
  sockets_->send(effect.channel, frame);  // lost ones are said again
}

void link_loop::open_session(const peering_effect& effect, time_us now) {
  auto view = std::make_shared<peer_view>();
  view->who = effect.peer;
  view->address = sockets_->address_of(effect.channel);
  auto s = std::unique_ptr<session>(
      new session{effect.session,
                  effect.channel,
                  std::move(view),
                  session_core(effect.settings, effect.peer_session, effect.peer_sent_at, now),
                  {}});
  sessions_.insert_or_assign(effect.session, std::move(s));
  next_tick_ = now;
}

void link_loop::finish(session& s, time_us now) {
  if (s.up) {
    std::vector<envelope_ptr> undelivered = s.core.take_undelivered(undelivered_listed_max);
    packed_queue never_taken;
    std::vector<numbered_envelope> rest;
    std::uint64_t number = 0;
    for (outgoing_run& run : submitted_.close(s.peer->who.name)) {
      const std::uint32_t count = run.count;
      if (run.large) rest.push_back({number, {}, std::move(run.large)});
      never_taken.append(std::move(run.packed), number);
      number += count;
    }
    never_taken.list(rest);
    for (envelope_ptr& one :
         oldest_of(std::move(rest), undelivered_listed_max - undelivered.size()))
      undelivered.push_back(std::move(one));
    proto::LinkStatus last = status_of(s);
    last.set_up(false);
    ended_.push_back(std::move(last));
    if (ended_.size() > ended_kept_max) ended_.pop_front();
    events_.push_back(
        {link_event::what::down, s.peer, std::move(undelivered), s.core.end_reason()});
  }
  const std::uint64_t number = s.number;
  std::erase(busy_, &s);
  peering_.session_ended(number, now, effects_);
  sessions_.erase(number);
}

link_loop::session* link_loop::session_on(channel_id channel) const {
  for (auto& [number, s] : sessions_)
    if (s->channel == channel) return s.get();
  return nullptr;
}

void link_loop::count_malformed(channel_id from) {
  if (session* s = session_on(from))
    s->core.spoilt();
  else
    ++malformed_unknown_;
}

bool link_loop::idle() const {
  return submitted_.empty() &&
         std::all_of(sessions_.begin(), sessions_.end(), [](const auto& entry) {
           return !entry.second->up || entry.second->core.idle();
         });
}

void link_loop::close(time_us now) {
  take_submitted();
  std::vector<session*> all;
  for (auto& [number, s] : sessions_) all.push_back(s.get());
  for (session* s : all) {
    if (s->up) {
      s->core.probe();  // what was taken and not yet acknowledged is so now
      transmit(*s, now);
      peering_effect goodbye;
      goodbye.channel = s->channel;
      goodbye.control = frame_kind::goodbye;
      goodbye.session = s->core.peer_session();
      send_control(goodbye, now);
    }
    s->core.end("this side closed");
    finish(*s, now);
  }
}

proto::LinkStatus link_loop::status_of(const session& s) const {
  const session_counters& counters = s.core.counters();
  proto::LinkStatus out;
  out.set_peer(s.peer->who.name);
  out.set_up(true);
  out.set_address(s.peer->address);
  out.set_messages_sent(counters.messages_sent);
  out.set_messages_received(counters.messages_received);
  out.set_bytes_sent(counters.bytes_sent);
  out.set_bytes_received(counters.bytes_received);
  out.set_resent(counters.resent);
  out.set_dropped_malformed(counters.dropped_malformed);
  out.set_queued_bytes(s.core.unacknowledged_bytes());
  out.set_round_trip_us(counters.round_trip_us);
  return out;
}

std::vector<proto::LinkStatus> link_loop::links() const {
  std::vector<proto::LinkStatus> out;
  for (const auto& [number, s] : sessions_)
    if (s->up) out.push_back(status_of(*s));
  out.insert(out.end(), ended_.begin(), ended_.end());
  for (const auto& [address, channel] : dialled_) {
    const bool joined =
        std::any_of(out.begin(), out.end(), [&](const auto& l) { return l.address() == address; });
    if (joined) continue;
    proto::LinkStatus waiting;
    waiting.set_address(address);
    out.push_back(std::move(waiting));
  }
  if (malformed_unknown_ > 0) {
    proto::LinkStatus strangers;  // frames from connections without a session
    strangers.set_dropped_malformed(malformed_unknown_);
    out.push_back(std::move(strangers));
  }
  return out;
}

}  // namespace troupe::link
