// The link's working part: sockets, greetings and sessions together. Whoever holds the endpoint's
// lock runs it.
//
// Invariants: events are only collected here, in order; the I/O thread hands them out without the
// lock. A session's events are: up once, then envelopes, then down once. Threading: one thread at a
// time, under the endpoint's lock.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cluster/link/compression.hpp"
#include "cluster/link/link_faults.hpp"
#include "cluster/link/outbox.hpp"
#include "cluster/link/peering_core.hpp"
#include "cluster/link/sockets.hpp"

namespace troupe::link {

struct link_event {
  enum class what { up, envelopes, down };
  what kind = what::up;
  std::shared_ptr<const peer_view> peer;
  std::vector<envelope_ptr> messages;  // envelopes: as they came; down: undelivered
  std::string reason;
};

class link_loop {
 public:
  // draw: a random number; sessions are named by it.
  link_loop(identity self, const link_settings& settings, std::unique_ptr<socket_set> sockets,
            outbox& submitted, std::function<std::uint64_t()> draw);
  ~link_loop();

  // One turn: takes what was submitted and what came in, lets time pass, sends what may be sent.
  // True: call again at once.
  bool turn(time_us now);
  // Only what is on its way out: takes what was submitted and sends it. For a sender that found the
  // lock free.
  void send_submitted(time_us now);
  bool pending() { return sockets_->pending(); }
  time_us next_deadline() const;
  bool held_back() const {
    return held_back_;
  }  // a channel was blocked: next_deadline() came closer

  status connect(const std::string& address);
  void disconnect(std::string_view address, time_us now);
  void allow(keys::allow_list allowed, time_us now);
  bool shut() const { return shut_; }  // the sockets lost their guard and are closed
  const std::optional<error>& dial_trouble() const { return dial_trouble_; }
  bool idle() const;        // nothing accepted is unacknowledged
  void close(time_us now);  // goodbye to all; every session ends

  std::vector<link_event> take_events() { return std::exchange(events_, {}); }
  bool has_events() const { return !events_.empty(); }
  void woken(std::span<const std::uint64_t> keys) { sockets_->woken(keys); }
  const std::string& address() const { return sockets_->address(); }
  std::vector<proto::LinkStatus> links() const;

 private:
  struct session {
    std::uint64_t number;
    channel_id channel;
    std::shared_ptr<const peer_view> peer;
    session_core core;
    envelope_assembly assembly;
    bool up = false;
    bool busy = false;         // in busy_
    std::uint64_t due_at = 0;  // as the outbox was told
  };
  struct delayed_frame {  // by a fault
    time_us due;
    channel_id channel;
    zmq::message_t frame;
  };

  void take_submitted();
  credential holder_of(channel_id channel, zmq::message_t& frame) const;
  void shut_down(time_us now);
  void receive_frame(channel_id from, zmq::message_t& frame, time_us now);
  void receive_body(session& s, const frame_header& header, zmq::message_t& frame, time_us now);
  bool unpack(const frame_header& header, std::span<const std::uint8_t> packed,
              std::shared_ptr<std::vector<std::uint8_t>>& raw);
  void deliver(session& s, std::vector<envelope_ptr> messages);
  void tick(time_us now);
  void check_connections(time_us now);
  void carry_out(time_us now);
  void send_control(const peering_effect& effect, time_us now);
  void open_session(const peering_effect& effect, time_us now);
  void finish(session& s, time_us now);
  void transmit(time_us now);
  bool transmit(session& s, time_us now);
  bool swallowed(channel_id from, const frame_header& header, std::span<const std::uint8_t> body,
                 time_us now) const;
  sent send_sequenced(const session& s, zmq::message_t& frame, time_us now);
  void send_delayed(time_us now);
  zmq::message_t encode(frame_plan& plan);
  void mark_busy(session& s);
  session* session_on(channel_id channel) const;
  void count_malformed(channel_id from);
  proto::LinkStatus status_of(const session& s) const;

  identity self_;
  link_settings settings_;
  std::unique_ptr<socket_set> sockets_;
  outbox& submitted_;
  peering_core peering_;
  peering_core::effects effects_;
  std::unordered_map<std::uint64_t, std::unique_ptr<session>> sessions_;
  std::unordered_map<std::string, channel_id> dialled_;  // by address
  std::vector<session*> busy_;                           // may have frames to send
  std::deque<delayed_frame> delayed_;
  std::vector<link_event> events_;
  std::deque<proto::LinkStatus> ended_;  // of peers that are down, newest last
  body_compressor compressor_;
  std::vector<std::uint8_t> scratch_;  // a body before compression
  std::uint64_t malformed_unknown_ = 0;
  time_us next_tick_ = 0;
  time_us probe_incoming_at_ = 0;
  bool held_back_ = false;
  bool shut_ = false;
  std::optional<error> dial_trouble_;
};

}  // namespace troupe::link
