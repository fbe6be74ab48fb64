// The link's ZeroMQ sockets: one ROUTER that listens and one DEALER per dial. Whole frames in and
// out, nothing decided.
//
// Threading: one thread at a time, handed on under a lock (a mutex is the full fence that ZeroMQ
// asks for). Waiting for the sockets' descriptors needs no lock, since that does not touch the
// sockets. ZeroMQ signals edges: after any call on a socket its descriptor says nothing until
// pending() was asked. The options of every socket are set in one place, set_options in
// sockets.cpp; encryption belongs there too.
#pragma once

#include <chrono>
#include <functional>
#include <map>
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
  // listen as in link_settings; empty: no ROUTER. `waits` watches every socket, and must outlive
  // them.
  static result<std::unique_ptr<socket_set>> open(const std::string& listen,
                                                  std::chrono::milliseconds silence_max,
                                                  waiting& waits);
  ~socket_set();

  const std::string& address() const { return address_; }  // as bound; empty without a ROUTER
  result<channel_id> dial(const std::string& address);
  void undial(channel_id channel);
  std::string address_of(channel_id channel) const;
  static bool is_dial(channel_id channel) { return channel < first_incoming; }

  sent send(channel_id channel, zmq::message_t& frame);

  // Up to `most` frames that wait on any socket with something to read; one of each where there
  // was one the last time. Frames that are no single part go to `spoilt`.
  std::size_t receive(std::size_t most,
                      const std::function<void(channel_id, zmq::message_t&)>& take,
                      const std::function<void()>& spoilt);
  // Dials that pending() found to have got or lost their connection since the last call.
  void changes(const std::function<void(channel_id, bool connected)>& told);
  // True when a connection that had come in broke: incoming channels want a probe.
  bool incoming_broke();

  // Asks every socket used since it was last asked; true: receive() or changes() have something to
  // do.
  bool pending();
  void woken(std::span<const std::uint64_t> keys);  // what wait() found

 private:
  static constexpr channel_id first_incoming = channel_id{1} << 32;
  // What `waits_` calls them; a dial goes by its channel.
  static constexpr std::uint64_t router_key = first_incoming, monitor_key = first_incoming + 1;
  struct link_socket {
    zmq::socket_t socket;
    std::string address;
    int fd = -1;
    bool used = true;  // since pending() last asked
    bool readable = false;
    bool took_one = false;        // and did not try for another, since it was last asked
    bool many = false;            // as last asked: one was not all
    bool connected = false;       // dials: as last asked
    bool told_connected = false;  // and as last told
  };

  socket_set(std::chrono::milliseconds silence_max, waiting& waits);
  status listen(const std::string& address);
  static void ask(link_socket& s);
  void set_options(zmq::socket_t& socket) const;
  bool receive_one(channel_id dial, link_socket& from, zmq::message_t& frame, channel_id& channel,
                   bool& whole);

  std::chrono::milliseconds silence_max_;
  waiting& waits_;
  std::string address_;
  zmq::context_t context_{1};
  std::unique_ptr<link_socket> router_;
  std::unique_ptr<link_socket> monitor_;
  std::map<channel_id, link_socket> dials_;
  channel_id next_dial_ = 1;
};

// "tcp://127.0.0.1:7411" or "127.0.0.1:7411" as ZeroMQ wants it; invalid_argument where it is
// neither.
result<std::string> tcp_address(const std::string& address);
bool is_loopback(const std::string& tcp_address);

}  // namespace troupe::link
