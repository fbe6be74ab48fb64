#include "cluster/link/sockets.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "cluster/link/curve_sockets.hpp"
#include "cluster/link/dial_watch.hpp"
#include "cluster/link/gatekeeper.hpp"
#include "cluster/link/uninterrupted.hpp"

namespace troupe::link {
namespace {

constexpr std::int64_t frame_bytes_max =
    16 << 20;  // above our own bound: what ZeroMQ cuts off cannot be counted
constexpr int receive_frames_max = 256;
constexpr int handshake_ms = 5000;
constexpr int reconnect_ms_min = 50, reconnect_ms_max = 2000;
constexpr int linger_ms = 100;  // for a goodbye; everything else is drained before
constexpr time_us dial_again_us = 1'000'000;

error zmq_failure(const std::string& what, const zmq::error_t& e) {
  return {error_code::internal, what + ": " + e.what(), ""};
}

}  // namespace

result<std::string> tcp_address(const std::string& address) {
  const std::string scheme = "tcp://";
  std::string rest = address.starts_with(scheme) ? address.substr(scheme.size()) : address;
  const auto colon = rest.rfind(':');
  const std::string port = colon == std::string::npos ? "" : rest.substr(colon + 1);
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool port_holds = port == "*" || (digits && std::stoul(port) <= 65535);
  if (colon == 0 || !port_holds || rest.find("//") != std::string::npos)
    return error{error_code::invalid_argument, "\"" + address + "\" is no address",
                 "write HOST:PORT or tcp://HOST:PORT"};
  return scheme + rest;
}

bool is_loopback(const std::string& address) {
  const std::string host = address.substr(6, address.rfind(':') - 6);
  if (host == "localhost" || host == "[::1]") return true;
  int part[4];
  char rest;
  return std::sscanf(host.c_str(), "%d.%d.%d.%d%c", &part[0], &part[1], &part[2], &part[3],
                     &rest) == 4 &&
         part[0] == 127;
}

namespace {

class zmq_sockets final : public socket_set {
 public:
  zmq_sockets(const link_settings& settings, waiting& waits)
      : silence_max_(settings.silence_max), security_(settings.security), waits_(waits) {}
  status listen(const std::string& address);

  const std::string& address() const override { return address_; }
  result<channel_id> dial(const std::string& address) override;
  void undial(channel_id channel) override;
  std::string address_of(channel_id channel) const override;
  sent send(channel_id channel, zmq::message_t& frame) override;
  std::size_t receive(std::size_t most,
                      const std::function<void(channel_id, zmq::message_t&)>& take,
                      const std::function<void()>& spoilt) override;
  void changes(const std::function<void(channel_id, bool connected)>& told) override;
  bool incoming_broke() override;
  bool pending() override;
  void woken(std::span<const std::uint64_t> keys) override;
  keys::public_key key_of(channel_id channel, zmq::message_t& frame) const override;
  void allow(const keys::allow_list& allowed) override;
  void look_after_dials(time_us now, const std::function<void(error)>& tell) override;
  bool guarded() const override { return !keeper_ || keeper_->alive(); }
  void shut() override;

 private:
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
    keys::public_key server{};    // dials: that has to answer
    dial_watch watch{};
    time_us again_at = 0;  // dials: made anew then; 0: no need
    // Dials: the most telling one so far. Who refuses may hang up before it is read why.
    std::optional<handshake_failure> trouble{};
  };

  static void ask(link_socket& s);
  void set_options(zmq::socket_t& socket) const;
  status guard();
  std::set<keys::public_key> admitted() const;
  status open_dial(channel_id channel, link_socket& dialled);
  bool receive_one(channel_id dial, link_socket& from, zmq::message_t& frame, channel_id& channel,
                   bool& whole);

  std::chrono::milliseconds silence_max_;
  link_security security_;
  waiting& waits_;
  std::string address_;
  zmq::context_t context_{1};
  std::unique_ptr<gatekeeper> keeper_;
  std::unique_ptr<link_socket> router_;
  std::unique_ptr<link_socket> monitor_;
  std::map<channel_id, link_socket> dials_;
  channel_id next_dial_ = 1;
  std::uint64_t watches_ = 0;
};

void zmq_sockets::set_options(zmq::socket_t& socket) const {
  const int silence_ms = static_cast<int>(silence_max_.count());
  socket.set(zmq::sockopt::linger, linger_ms);
  socket.set(zmq::sockopt::maxmsgsize, frame_bytes_max);
  socket.set(zmq::sockopt::sndhwm, 0);  // our credit is the bound
  socket.set(zmq::sockopt::rcvhwm, receive_frames_max);
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
  socket.set(zmq::sockopt::heartbeat_ivl, std::max(1, silence_ms));
  socket.set(zmq::sockopt::heartbeat_timeout, std::max(1, 2 * silence_ms));
}

status zmq_sockets::listen(const std::string& address) {
  const auto where = tcp_address(address);
  if (!where.ok()) return where.failure();
  if (!is_loopback(*where) && !security_.on())
    return error{error_code::permission_denied,
                 "will not listen on " + *where + " without keys: anybody there could join",
                 "set link.security: curve and make this node's keys (`troupe keys make`), or "
                 "listen on 127.0.0.1"};
  if (const status guarded = guard(); !guarded.ok()) return guarded;
  auto router = std::make_unique<link_socket>();
  router->socket = zmq::socket_t(context_, zmq::socket_type::router);
  set_options(router->socket);
  router->socket.set(zmq::sockopt::router_mandatory, 1);
  if (security_.on()) serve_encrypted(router->socket, security_.own);
  try {
    std::string with_port = *where;
    if (with_port.ends_with(":0")) with_port.replace(with_port.size() - 1, 1, "*");
    router->socket.bind(with_port);
  } catch (const zmq::error_t& e) {
    if (e.num() == EADDRINUSE)
      return error{error_code::unavailable,
                   "cannot listen on " + *where + ": port " + where->substr(where->rfind(':') + 1) +
                       " is taken",
                   "stop what uses it, or choose another port"};
    return error{error_code::unavailable, "cannot listen on " + *where + ": " + e.what(),
                 "choose an address of this machine"};
  }
  address_ = router->socket.get(zmq::sockopt::last_endpoint);
  router->address = address_;
  router->fd = router->socket.get(zmq::sockopt::fd);
  const char* events = "inproc://incoming";
  if (zmq_socket_monitor(router->socket.handle(), events, ZMQ_EVENT_DISCONNECTED) != 0)
    return error{error_code::internal, "the link could not watch its connections", ""};
  monitor_ = std::make_unique<link_socket>();
  monitor_->socket = zmq::socket_t(context_, zmq::socket_type::pair);
  monitor_->socket.set(zmq::sockopt::linger, 0);
  monitor_->socket.connect(events);
  monitor_->fd = monitor_->socket.get(zmq::sockopt::fd);
  router_ = std::move(router);
  if (status watched = waits_.watch(router_->fd, router_key); !watched.ok()) return watched;
  return waits_.watch(monitor_->fd, monitor_key);
}

result<channel_id> zmq_sockets::dial(const std::string& address) {
  const auto where = tcp_address(address);
  if (!where.ok()) return where.failure();
  link_socket dialled;
  dialled.address = *where;
  dialled.server = security_.server_at(*where);
  if (security_.on() && dialled.server.empty())
    return error{error_code::not_found, "no key is listed for " + *where,
                 "list it: `troupe keys allow NAME KEY --address " + where->substr(6) +
                     "`, with the key that `troupe keys show` prints there"};
  const channel_id channel = next_dial_++;
  if (const status opened = open_dial(channel, dialled); !opened.ok()) return opened.failure();
  dials_.emplace(channel, std::move(dialled));
  return channel;
}

status zmq_sockets::open_dial(channel_id channel, link_socket& dialled) {
  try {
    dialled.socket = zmq::socket_t(context_, zmq::socket_type::dealer);
    set_options(dialled.socket);
    dialled.socket.set(zmq::sockopt::immediate, 1);
    dialled.socket.set(zmq::sockopt::reconnect_ivl, reconnect_ms_min);
    dialled.socket.set(zmq::sockopt::reconnect_ivl_max, reconnect_ms_max);
    if (security_.on()) dial_encrypted(dialled.socket, security_.own, dialled.server);
    dialled.watch = dial_watch(context_, dialled.socket, ++watches_);
    uninterrupted([&] { dialled.socket.connect(dialled.address); });
    dialled.fd = dialled.socket.get(zmq::sockopt::fd);
    dialled.used = true;
    return waits_.watch(dialled.fd, channel);
  } catch (const zmq::error_t& e) {
    return error{error_code::invalid_argument, "cannot dial " + dialled.address + ": " + e.what(),
                 "write HOST:PORT"};
  }
}

// ZeroMQ never tries again where the other side refused; a list that has changed, or a daemon that
// was started with other settings, has to be noticed all the same.
void zmq_sockets::look_after_dials(time_us now, const std::function<void(error)>& tell) {
  for (auto& [channel, dialled] : dials_) {
    const auto failed = dialled.watch.look();
    if (failed) {
      if (!dialled.trouble || *failed != handshake_failure::unknown) dialled.trouble = failed;
      tell(trouble_of(*dialled.trouble, dialled.address, security_.on(), dialled.server));
      if (*failed != handshake_failure::unknown) dialled.again_at = now + dial_again_us;
    }
    if (dialled.again_at == 0 || now < dialled.again_at) continue;
    dialled.again_at = 0;
    waits_.forget(dialled.fd);
    dialled.watch = {};
    if (!open_dial(channel, dialled).ok()) dialled.again_at = now + dial_again_us;
  }
}

std::set<keys::public_key> zmq_sockets::admitted() const {
  std::set<keys::public_key> out = {security_.own.shown};
  for (const keys::allowed_key& one : security_.allowed.all()) out.insert(one.key);
  return out;
}

status zmq_sockets::guard() {
  if (!security_.on()) return {};
  auto keeper = gatekeeper::open(context_, admitted());
  if (!keeper.ok()) return keeper.failure();
  keeper_ = std::move(*keeper);
  if (const status proven = prove_gate(context_, security_.own); !proven.ok()) return proven;
  keeper_->tell_of_strangers();
  return {};
}

keys::public_key zmq_sockets::key_of(channel_id channel, zmq::message_t& frame) const {
  if (!is_dial(channel)) return bearer_of(frame);
  const auto found = dials_.find(channel);
  return found == dials_.end() ? keys::public_key() : found->second.server;
}

void zmq_sockets::allow(const keys::allow_list& allowed) {
  security_.allowed = allowed;
  if (keeper_) keeper_->allow(admitted());
}

void zmq_sockets::shut() {
  if (router_) waits_.forget(router_->fd);
  if (monitor_) waits_.forget(monitor_->fd);
  for (auto& [channel, dialled] : dials_) waits_.forget(dialled.fd);
  dials_.clear();
  router_.reset();
  monitor_.reset();
}

void zmq_sockets::undial(channel_id channel) {
  const auto found = dials_.find(channel);
  if (found == dials_.end()) return;
  waits_.forget(found->second.fd);
  dials_.erase(found);
}

std::string zmq_sockets::address_of(channel_id channel) const {
  if (const auto found = dials_.find(channel); found != dials_.end()) return found->second.address;
  return address_ + " (came in)";
}

sent zmq_sockets::send(channel_id channel, zmq::message_t& frame) {
  try {
    if (is_dial(channel)) {
      const auto found = dials_.find(channel);
      if (found == dials_.end()) return sent::gone;
      found->second.used = true;
      return give(found->second.socket, frame) ? sent::yes : sent::blocked;
    }
    if (!router_) return sent::gone;
    router_->used = true;
    std::uint8_t id[5] = {0};
    const auto number = static_cast<std::uint32_t>(channel);
    std::memcpy(id + 1, &number, 4);
    zmq::message_t routing(id, sizeof id);
    if (!give(router_->socket, routing, zmq::send_flags::sndmore)) return sent::blocked;
    return give(router_->socket, frame) ? sent::yes : sent::blocked;
  } catch (const zmq::error_t&) {
    return sent::gone;  // EHOSTUNREACH; anything else also leaves the channel useless
  }
}

// A routing id that ZeroMQ made has a zero and four bytes; peers that bring their own are not ours.
bool zmq_sockets::receive_one(channel_id dial, link_socket& from, zmq::message_t& frame,
                              channel_id& channel, bool& whole) {
  whole = true;
  channel = dial;
  if (!take_if_there(from.socket, frame)) return false;
  if (dial == 0) {
    std::uint32_t number = 0;
    whole = frame.size() == 5 && *frame.data<std::uint8_t>() == 0 && frame.more();
    if (whole) std::memcpy(&number, frame.data<std::uint8_t>() + 1, 4);
    channel = first_incoming | number;
    if (!frame.more() || !take_if_there(from.socket, frame)) {
      whole = false;
      return true;
    }
  }
  while (frame.more()) {
    whole = false;
    if (!take_if_there(from.socket, frame)) break;
  }
  return true;
}

std::size_t zmq_sockets::receive(std::size_t most,
                                 const std::function<void(channel_id, zmq::message_t&)>& take,
                                 const std::function<void()>& spoilt) {
  std::size_t taken = 0;
  const auto drain = [&](channel_id dial, link_socket& from) {
    while (from.readable && taken < most) {
      zmq::message_t frame;
      channel_id channel;
      bool whole;
      from.used = true;
      if (!receive_one(dial, from, frame, channel, whole)) {
        from.readable = false;
        break;
      }
      ++taken;
      if (whole)
        take(channel, frame);
      else
        spoilt();
      // One frame alone is common; what it leads to goes out before anyone asks for another.
      if (from.many) continue;
      from.took_one = true;
      from.readable = false;
    }
  };
  try {
    if (router_) drain(0, *router_);
    for (auto& [channel, dialled] : dials_) drain(channel, dialled);
  } catch (const zmq::error_t&) {
    // The context is closing: the next turn sees.
  }
  return taken;
}

void zmq_sockets::ask(link_socket& s) {
  if (!s.used) return;
  const int events = uninterrupted([&] { return s.socket.get(zmq::sockopt::events); });
  s.readable = events & ZMQ_POLLIN;
  s.many = s.readable && std::exchange(s.took_one, false);
  s.connected = events & ZMQ_POLLOUT;
  s.used = false;
}

bool zmq_sockets::pending() {
  bool any = false;
  if (router_) {
    ask(*router_);
    any = router_->readable;
  }
  for (auto& [channel, dialled] : dials_) {
    ask(dialled);
    any = any || dialled.readable || dialled.connected != dialled.told_connected;
  }
  return any;
}

void zmq_sockets::changes(const std::function<void(channel_id, bool)>& told) {
  for (auto& [channel, dialled] : dials_) {
    if (dialled.connected == dialled.told_connected) continue;
    dialled.told_connected = dialled.connected;
    told(channel, dialled.connected);
  }
}

bool zmq_sockets::incoming_broke() {
  if (!monitor_ || !monitor_->used) return false;
  monitor_->used = false;
  bool any = false;
  zmq::message_t part;
  while (take_if_there(monitor_->socket, part)) any = true;
  return any;
}

void zmq_sockets::woken(std::span<const std::uint64_t> keys) {
  for (const std::uint64_t key : keys) {
    if (key == router_key) {
      if (router_) router_->used = true;
    } else if (key == monitor_key) {
      if (monitor_) monitor_->used = true;
    } else if (const auto found = dials_.find(key); found != dials_.end()) {
      found->second.used = true;
    }
  }
}

}  // namespace

result<std::unique_ptr<socket_set>> open_sockets(const link_settings& settings, waiting& waits) {
  try {
    if (settings.security.on())
      if (const status pair = check_key_pair(settings.security.own); !pair.ok())
        return pair.failure();
    auto set = std::make_unique<zmq_sockets>(settings, waits);
    if (!settings.listen.empty())
      if (const status bound = set->listen(settings.listen); !bound.ok()) return bound.failure();
    return std::unique_ptr<socket_set>(std::move(set));
  } catch (const zmq::error_t& e) {
    return zmq_failure("the link could not set its sockets up", e);
  }
}

}  // namespace troupe::link
