// The link: envelopes between this node (or client) and others, over ZeroMQ. One I/O thread owns
// every socket.
//
// ZeroMQ is taken to lose: delivery rests on our own sequence numbers, acknowledgement and credit.
// Between two live sessions every accepted envelope arrives once, in order; when the session ends
// (peer gone, restarted, or silent past the deadline) what was not acknowledged is reported lost
// through peer_down, never delivered later. Order holds between the same two actors: an envelope
// larger than chunk_bytes travels in chunks, and smaller ones between other actors go past it.
// Memory toward a peer is bounded by link_settings::queued_bytes_max; a payload may be of any size
// (up to 2 GiB) and travels in chunks. One that is larger than the whole bound is taken when no
// other such one is on its way.
//
// Threading: every function of endpoint from any thread, also from within link_events. link_events
// are called on the I/O thread, without a lock, and must not block. Ownership: link_events must
// outlive the endpoint.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/link/admission.hpp"
#include "config/outcome.hpp"
#include "proto/envelope.pb.h"

namespace troupe::link {

using envelope_ptr = std::shared_ptr<const proto::Envelope>;
class link_faults;

enum class peer_role { node, client };

struct identity {
  std::string name;  // unique in the cluster; clients make theirs up: "client-" and a UUID
  std::uint64_t incarnation = 0;  // higher at each start of the same name
  peer_role role = peer_role::node;
};

struct link_settings {
  std::string listen;  // "tcp://127.0.0.1:7411"; port 0 or "*" takes a free one; empty: outgoing
                       // only (a client)
  std::uint64_t queued_bytes_max = 64u
                                   << 20;  // toward one peer, unsent and unacknowledged together
  std::uint32_t coalesced_bytes_max =
      64u << 10;  // small envelopes that leave together fill a frame up to this
  std::uint32_t chunk_bytes = 256u << 10;        // larger envelopes travel in chunks of this
  std::uint32_t compress_bytes_min = 16u << 10;  // smaller ones are sent as they are
  std::chrono::milliseconds silence_max{
      3000};               // a peer that sends nothing (not even keep-alives) for so long is down
  link_security security;  // keys of this side and of those who may connect; none: loopback only
  std::shared_ptr<link_faults> faults;  // link_faults.hpp; null: nobody can have any carried out
};

struct peer_view {
  identity who;
  std::string address;  // as dialled, or as it came
};

class link_events {
 public:
  virtual ~link_events() = default;
  virtual void on_envelope(const peer_view& from, envelope_ptr message) = 0;
  // What came in together, in order; the pointers may be moved from. The link calls only this one;
  // as it stands it calls on_envelope for each.
  virtual void on_envelopes(const peer_view& from, std::span<envelope_ptr> messages);
  virtual void on_peer_up(const peer_view& peer) = 0;
  // undelivered: envelopes accepted by send() that the peer did not acknowledge, oldest first
  // (bounded: at most 1024 are listed).
  virtual void on_peer_down(const peer_view& peer, std::string reason,
                            std::vector<envelope_ptr> undelivered) = 0;
};

class endpoint {
 public:
  // Binds and starts the I/O thread. Refuses (permission_denied) to listen on anything but
  // loopback without keys, and anywhere with keys where its own test of its door fails. Port
  // taken: unavailable, naming the port.
  static result<std::unique_ptr<endpoint>> open(identity self, link_settings settings,
                                                link_events& events);
  // Flushes for at most a second, says goodbye and closes; each peer that was up gets its
  // on_peer_down. No event is delivered after it returns. Not from within link_events.
  virtual ~endpoint() = default;

  // Dials a peer and keeps dialling (back-off 50 ms to 2 s) until disconnect(). The peer's name is
  // learnt from its hello. not_found: with keys, and the key of that address is not known.
  virtual status connect(std::string address) = 0;
  virtual void disconnect(std::string_view address) = 0;

  // From now on these keys may connect. Sessions of others end at once.
  virtual void allow(keys::allow_list allowed) = 0;
  // True: strangers can no longer be told from friends, so every socket is closed, for good.
  virtual bool shut() const = 0;
  // Why the last dial that failed for more than absence did so, and how to mend it.
  virtual std::optional<error> dial_trouble() const = 0;

  // Accepts the envelope for target.node(): queued, in order. unavailable: no session with that
  // peer; resource_exhausted: its queue is full (the peer is slow or stalled).
  virtual status send(envelope_ptr message) = 0;

  virtual const identity& self() const = 0;
  virtual std::string address() const = 0;  // as bound, with the real port
  virtual std::vector<proto::LinkStatus> links()
      const = 0;  // counters of every peer, up or recently down
};

}  // namespace troupe::link
