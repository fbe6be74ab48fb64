#include "cluster/link/link_loop.hpp"

#include <algorithm>
#include <limits>

namespace troupe::link {
namespace {

constexpr std::size_t frames_per_turn = 64;
constexpr time_us tick_every_us =
    100'000;  // greetings, and what was sent while the I/O thread slept
constexpr time_us retry_after_us = 1'000;
constexpr time_us gone_retry_us = 50'000;
constexpr time_us second_probe_us =
    10'000;  // ZeroMQ tells of a broken connection a little before it drops the pipe

peering_settings peering_from(const link_settings& settings) {
  peering_settings out;
  out.session.coalesced_bytes_max = settings.coalesced_bytes_max;
  out.session.chunk_bytes = settings.chunk_bytes;
  out.session.silence = static_cast<time_us>(settings.silence_max.count()) * 1000;
  return out;
}

}  // namespace

link_loop::link_loop(identity self, const link_settings& settings,
                     std::unique_ptr<socket_set> sockets, outbox& submitted,
                     std::function<std::uint64_t()> draw)
    : self_(self),
      settings_(settings),
      sockets_(std::move(sockets)),
      submitted_(submitted),
      peering_(std::move(self), peering_from(settings), [draw = std::move(draw)] {
        std::uint64_t number = 0;
        while (number == 0) number = draw();
        return number;
      }) {}

link_loop::~link_loop() = default;

status link_loop::connect(const std::string& address) {
  const auto where = tcp_address(address);
  if (!where.ok()) return where.failure();
  if (shut_) return error{error_code::unavailable, "the link is closed: its gatekeeper ended", ""};
  if (dialled_.contains(*where)) return {};
  const auto channel = sockets_->dial(*where);
  if (!channel.ok()) return channel.failure();
  dialled_.emplace(*where, *channel);
  peering_.add_dial(*channel);
  return {};
}

void link_loop::disconnect(std::string_view address, time_us now) {
  const auto where = tcp_address(std::string(address));
  const auto found = where.ok() ? dialled_.find(*where) : dialled_.end();
  if (found == dialled_.end()) return;
  take_submitted();
  if (session* s = session_on(found->second); s && s->up) {
    s->core.probe();  // what was taken and not yet acknowledged is so now
    transmit(*s, now);
  }
  peering_.remove_dial(found->second, effects_);
  carry_out(now);
  sockets_->undial(found->second);
  dialled_.erase(found);
}

void link_loop::mark_busy(session& s) {
  if (s.busy) return;
  s.busy = true;
  busy_.push_back(&s);
}

void link_loop::take_submitted() {
  submitted_.take([&](std::uint64_t number, outgoing_run run) {
    const auto found = sessions_.find(number);
    if (found == sessions_.end()) return;  // ended: closing the lane took these along
    found->second->core.accept(std::move(run));
    mark_busy(*found->second);
  });
}

void link_loop::send_submitted(time_us now) {
  take_submitted();
  transmit(now);
  carry_out(now);
}

bool link_loop::turn(time_us now) {
  if (!shut_ && !sockets_->guarded()) shut_down(now);
  take_submitted();
  bool again = false;
  if (sockets_->pending()) {
    const std::size_t frames = sockets_->receive(
        frames_per_turn,
        [&](channel_id from, zmq::message_t& frame) { receive_frame(from, frame, now); },
        [&] { ++malformed_unknown_; });
    again = frames > 0;
  }
  check_connections(now);
  carry_out(now);
  if (now >= next_deadline()) tick(now);
  transmit(now);
  carry_out(now);
  return again || !busy_.empty();
}

void link_loop::check_connections(time_us now) {
  sockets_->changes([&](channel_id channel, bool connected) {
    session* s = session_on(channel);
    if (connected) {
      if (s) s->core.connection_back(now), mark_busy(*s);
      peering_.dial_connected(channel, now, effects_);
    } else {
      if (s) s->core.connection_lost(now);
      peering_.dial_lost(channel);
    }
    next_tick_ = now;
  });
  const bool broke = sockets_->incoming_broke();
  if (!broke && (probe_incoming_at_ == 0 || now < probe_incoming_at_)) return;
  probe_incoming_at_ = broke ? now + second_probe_us : 0;
  next_tick_ = now;
  for (auto& [number, s] : sessions_) {
    if (socket_set::is_dial(s->channel)) continue;
    s->core.probe();
    mark_busy(*s);
  }
}

void link_loop::tick(time_us now) {
  if (now >= next_tick_) submitted_.forget_emptied();
  peering_.tick(now, effects_);
  sockets_->look_after_dials(now, [&](error why) { dial_trouble_ = std::move(why); });
  std::vector<session*> ended;
  for (auto& [number, s] : sessions_) {
    s->core.tick(now);
    if (s->core.ended()) ended.push_back(s.get());
    mark_busy(*s);
  }
  for (session* s : ended) finish(*s, now);
  carry_out(now);
  next_tick_ = now + tick_every_us;
}

time_us link_loop::next_deadline() const {
  time_us next = next_tick_;
  if (probe_incoming_at_ != 0) next = std::min(next, probe_incoming_at_);
  if (!delayed_.empty()) next = std::min(next, delayed_.front().due);
  for (const auto& [number, s] : sessions_) next = std::min(next, s->core.next_deadline());
  return next;
}

void link_loop::receive_frame(channel_id from, zmq::message_t& frame, time_us now) {
  frame_header header;
  const std::span<const std::uint8_t> bytes(frame.data<std::uint8_t>(), frame.size());
  if (decode_header(bytes, header) != frame_fault::none) return count_malformed(from);
  if (swallowed(from, header, bytes.subspan(header_bytes), now)) return;
  const bool in_session = sequenced(header.kind) || header.kind == frame_kind::acknowledgement;
  if (!in_session) {
    if (!peering_.control(from, holder_of(from, frame), header, bytes.subspan(header_bytes), now,
                          effects_))
      count_malformed(from);
    return carry_out(now);
  }
  auto found = sessions_.find(header.session);
  if (found == sessions_.end() || !found->second->up || found->second->channel != from) {
    const bool admitted =
        peering_.admit(from, holder_of(from, frame), header.session, now, effects_);
    carry_out(now);
    if (!admitted) return;
    found = sessions_.find(header.session);
    if (found == sessions_.end()) return;
    if (found->second->channel != from) {
      found->second->channel = from;
      found->second->core.connection_back(now);
    }
  }
  session& s = *found->second;
  if (s.core.receive(header, now) == frame_verdict::take) receive_body(s, header, frame, now);
  if (const std::uint64_t freed = s.core.take_released_bytes())
    submitted_.released(s.peer->who.name, freed, s.core.emptied());
  mark_busy(s);
}

bool link_loop::unpack(const frame_header& header, std::span<const std::uint8_t> packed,
                       std::shared_ptr<std::vector<std::uint8_t>>& raw) {
  raw = std::make_shared<std::vector<std::uint8_t>>(header.raw_bytes);  // at most body_bytes_max
  return compressor_.decompress(packed, *raw);
}

void link_loop::receive_body(session& s, const frame_header& header, zmq::message_t& frame,
                             time_us now) {
  std::span<const std::uint8_t> body(frame.data<std::uint8_t>() + header_bytes, header.body_bytes);
  std::shared_ptr<const void> keeper;
  if (header.flags & flag_compressed) {
    std::shared_ptr<std::vector<std::uint8_t>> raw;
    if (!unpack(header, body, raw)) return s.core.spoilt();
    body = *raw;
    keeper = std::move(raw);
  }
  std::vector<envelope_ptr> messages;
  if (header.kind == frame_kind::envelopes) {
    std::uint64_t unreadable = 0;
    if (!read_envelopes(body, messages, unreadable)) return s.core.spoilt();
    for (std::uint64_t i = 0; i < unreadable; ++i) s.core.spoilt();
  } else {
    chunk_prefix prefix;
    if (!decode_chunk_prefix(body, prefix)) return s.core.spoilt();
    if (!keeper) keeper = std::make_shared<zmq::message_t>(std::move(frame));
    if (!s.assembly.add(prefix, {std::move(keeper), body.subspan(chunk_prefix_bytes)}))
      return s.core.spoilt();
    if (s.assembly.complete()) {
      if (envelope_ptr whole = s.assembly.take())
        messages.push_back(std::move(whole));
      else
        s.core.spoilt();
    }
  }
  s.core.taken(header, static_cast<std::uint32_t>(messages.size()), now);
  if (!messages.empty()) deliver(s, std::move(messages));
}

void link_loop::deliver(session& s, std::vector<envelope_ptr> messages) {
  if (!events_.empty() && events_.back().kind == link_event::what::envelopes &&
      events_.back().peer == s.peer) {
    auto& last = events_.back().messages;
    last.insert(last.end(), std::make_move_iterator(messages.begin()),
                std::make_move_iterator(messages.end()));
    return;
  }
  events_.push_back({link_event::what::envelopes, s.peer, std::move(messages), {}});
}

zmq::message_t link_loop::encode(frame_plan& plan) {
  frame_header& header = plan.header;
  header.raw_bytes = header.body_bytes = plan.raw_bytes;
  const bool one = plan.rope || plan.count == 1;
  if (one && plan.raw_bytes >= settings_.compress_bytes_min) {
    scratch_.resize(2 * std::size_t{plan.raw_bytes});
    write_body(plan, scratch_.data());
    const std::span<std::uint8_t> raw(scratch_.data(), plan.raw_bytes);
    const std::span<std::uint8_t> packed(scratch_.data() + plan.raw_bytes, plan.raw_bytes);
    const std::size_t size = compressor_.compress(raw, packed);
    if (size > 0) {
      header.flags |= flag_compressed;
      header.body_bytes = static_cast<std::uint32_t>(size);
    }
    zmq::message_t frame(header_bytes + header.body_bytes);
    encode_header(header, frame.data<std::uint8_t>());
    std::copy_n(size > 0 ? packed.data() : raw.data(), header.body_bytes,
                frame.data<std::uint8_t>() + header_bytes);
    seal_frame({frame.data<std::uint8_t>(), frame.size()});
    return frame;
  }
  zmq::message_t frame(header_bytes + plan.raw_bytes);
  encode_header(header, frame.data<std::uint8_t>());
  write_body(plan, frame.data<std::uint8_t>() + header_bytes);
  seal_frame({frame.data<std::uint8_t>(), frame.size()});
  return frame;
}

bool link_loop::transmit(session& s, time_us now) {
  for (std::size_t i = 0; i < frames_per_turn; ++i) {
    auto plan = s.core.next_frame(now);
    if (!plan) return false;
    zmq::message_t frame = encode(*plan);
    const sent how = send_sequenced(s, frame, now);
    if (how == sent::yes) continue;
    if (how == sent::gone) s.core.connection_lost(now);
    s.core.refused(plan->header, now + (how == sent::gone ? gone_retry_us : retry_after_us));
    held_back_ = true;
    return false;
  }
  return true;
}

void link_loop::transmit(time_us now) {
  held_back_ = false;
  send_delayed(now);
  std::vector<session*> more;
  for (session* s : busy_) {
    s->busy = false;
    if (!s->up) continue;
    if (transmit(*s, now)) more.push_back(s);
    const std::uint64_t worth = s->core.worth_taking_bytes();
    if (worth != s->due_at) submitted_.due_at(s->peer->who.name, s->due_at = worth);
  }
  busy_.clear();
  for (session* s : more) mark_busy(*s);
}

}  // namespace troupe::link
