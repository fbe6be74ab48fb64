// The link's sockets: one that listens and one per dial. Whole frames in and out, nothing decided.
// Those of open_sockets() are ZeroMQ's, a ROUTER and DEALERs; the simulation brings its own.
//
// Threading: one thread at a time, handed on under a lock (a mutex is the full fence that ZeroMQ
// asks for). Waiting for the sockets' descriptors needs no lock, since that does not touch the
// sockets. ZeroMQ signals edges: after any call on a socket its descriptor says nothing until
// pending() was asked. The options of every socket are set in one place, set_options in
// sockets.cpp, encryption by curve_sockets.hpp. A dial whose handshake was refused is dead for
// ZeroMQ; look_after_dials makes it anew.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "cluster/link/peering_core.hpp"
#include "cluster/link/waiting.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

enum class sent {
  yes,
  blocked,
  gone
};  // blocked: not now (no connection, or full); gone: that channel is no more

class socket_set {
 public:
  virtual ~socket_set() = default;

  virtual const std::string& address() const = 0;  // as bound; empty without a ROUTER
  virtual result<channel_id> dial(const std::string& address) = 0;
  virtual void undial(channel_id channel) = 0;
  virtual std::string address_of(channel_id channel) const = 0;
  static bool is_dial(channel_id channel) { return channel < first_incoming; }

  virtual sent send(channel_id channel, zmq::message_t& frame) = 0;

  // Up to `most` frames that wait on any socket with something to read; one of each where there
  // was one the last time. Frames that are no single part go to `spoilt`.
  virtual std::size_t receive(std::size_t most,
                              const std::function<void(channel_id, zmq::message_t&)>& take,
                              const std::function<void()>& spoilt) = 0;
  // Dials that pending() found to have got or lost their connection since the last call.
  virtual void changes(const std::function<void(channel_id, bool connected)>& told) = 0;
  // True when a connection that had come in broke: incoming channels want a probe.
  virtual bool incoming_broke() = 0;

  // Asks every socket used since it was last asked; true: receive() or changes() have something to
  // do.
  virtual bool pending() = 0;
  virtual void woken(std::span<const std::uint64_t> keys) = 0;  // what wait() found

  // The key that the other end of the channel has proven to hold; empty: none.
  virtual keys::public_key key_of(channel_id, zmq::message_t&) const { return {}; }
  virtual void allow(const keys::allow_list&) {}
  // Every now and then: says what went wrong with dials' handshakes, and tries those again.
  virtual void look_after_dials(time_us, const std::function<void(error)>&) {}
  // False: whoever tells strangers from friends is gone. Then shut() closes every socket, for good.
  virtual bool guarded() const { return true; }
  virtual void shut() {}

 protected:
  static constexpr channel_id first_incoming = channel_id{1} << 32;
};

// listen as in link_settings; empty: no ROUTER. `waits` watches every socket, and must outlive
// them.
result<std::unique_ptr<socket_set>> open_sockets(const link_settings& settings, waiting& waits);

// "tcp://127.0.0.1:7411" or "127.0.0.1:7411" as ZeroMQ wants it; invalid_argument where it is
// neither.
result<std::string> tcp_address(const std::string& address);
bool is_loopback(const std::string& tcp_address);

}  // namespace troupe::link
