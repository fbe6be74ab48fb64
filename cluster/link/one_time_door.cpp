#include "cluster/link/one_time_door.hpp"

#include <cstring>
#include <zmq.hpp>

#include "cluster/link/curve_sockets.hpp"
#include "cluster/link/dial_watch.hpp"
#include "cluster/link/gatekeeper.hpp"
#include "cluster/link/sockets.hpp"

namespace troupe::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int handshake_ms = 5000;
constexpr int linger_ms = 1000;     // for the last reply
constexpr int retry_ms = 500;       // between two tries of a guest
constexpr int waiting_replies = 8;  // and no more requests

void set_bounds(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, linger_ms);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(door_bytes_max));
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
  socket.set(zmq::sockopt::sndhwm, waiting_replies);
  socket.set(zmq::sockopt::rcvhwm, waiting_replies);
}

class curve_door final : public one_time_door {
 public:
  ~curve_door() override {
    if (told_) zmq_socket_monitor(socket_.handle(), nullptr, 0);  // before its reader goes
  }
  status listen(const std::string& address, const door_keys& keys);
  std::string address() const override { return address_; }
  void serve(milliseconds most,
             const std::function<std::string(std::string_view)>& answer) override;
  unsigned wrong_knocks() const override { return wrong_knocks_; }

 private:
  bool count_knocks();

  zmq::context_t context_{1};
  std::unique_ptr<gatekeeper> keeper_;
  zmq::socket_t socket_, told_;
  keys::public_key guest_;
  std::string address_;
  unsigned wrong_knocks_ = 0;
};

status curve_door::listen(const std::string& address, const door_keys& keys) {
  const auto where = tcp_address(address);
  if (!where.ok()) return where.failure();
  guest_ = keys.guest.shown;
  auto keeper = gatekeeper::open(context_, {guest_, keys.door.shown});
  if (!keeper.ok()) return keeper.failure();
  keeper_ = std::move(*keeper);
  if (const status proven = prove_gate(context_, keys.door); !proven.ok()) return proven;
  socket_ = zmq::socket_t(context_, zmq::socket_type::rep);
  set_bounds(socket_);
  serve_encrypted(socket_, keys.door);
  const char* events = "inproc://knocks";
  if (zmq_socket_monitor(socket_.handle(), events, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) != 0)
    throw zmq::error_t();
  told_ = zmq::socket_t(context_, zmq::socket_type::pair);
  told_.set(zmq::sockopt::linger, 0);
  told_.connect(events);
  std::string with_port = *where;
  if (with_port.ends_with(":0")) with_port.replace(with_port.size() - 1, 1, "*");
  try {
    socket_.bind(with_port);
  } catch (const zmq::error_t& e) {
    return error{error_code::unavailable, "cannot listen on " + *where + ": " + e.what(),
                 "choose a free port of an address of this machine (--listen)"};
  }
  address_ = socket_.get(zmq::sockopt::last_endpoint);
  return {};
}

bool curve_door::count_knocks() {
  const unsigned before = wrong_knocks_;
  zmq::message_t part;
  while (told_.recv(part, zmq::recv_flags::dontwait)) {
    std::uint32_t value = 0;
    if (part.size() == 6) std::memcpy(&value, part.data<char>() + 2, sizeof value);
    wrong_knocks_ += value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
    while (part.more() && told_.recv(part, zmq::recv_flags::dontwait)) {
    }
  }
  return wrong_knocks_ != before;
}

void curve_door::serve(milliseconds most,
                       const std::function<std::string(std::string_view)>& answer) {
  const auto until = steady_clock::now() + most;
  try {
    for (auto left = most; left.count() > 0 && keeper_->alive();
         left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now())) {
      zmq::pollitem_t watched[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                   {told_.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(watched, 2, left);
      if (count_knocks()) return;
      zmq::message_t request;
      if (!socket_.recv(request, zmq::recv_flags::dontwait)) continue;
      bool whole = true;
      while (request.more() && socket_.recv(request, zmq::recv_flags::dontwait)) whole = false;
      const bool is_guest = whole && bearer_of(request) == guest_;
      socket_.send(zmq::message_t(is_guest ? answer(request.to_string_view()) : std::string()),
                   zmq::send_flags::dontwait);
      return;
    }
  } catch (const zmq::error_t&) {
    // A signal, or a guest that left before its reply: the caller looks at the time and goes on.
  }
}

}  // namespace

result<std::unique_ptr<one_time_door>> one_time_door::open(const std::string& listen,
                                                           const door_keys& keys) {
  try {
    auto door = std::make_unique<curve_door>();
    if (const status bound = door->listen(listen, keys); !bound.ok()) return bound.failure();
    return std::unique_ptr<one_time_door>(std::move(door));
  } catch (const zmq::error_t& e) {
    return error{error_code::internal, std::string("the door could not be set up: ") + e.what(),
                 ""};
  }
}

result<std::string> knock(const std::string& address, const door_keys& keys,
                          const std::string& request, milliseconds wait_max) {
  const auto where = tcp_address(address);
  if (!where.ok()) return where.failure();
  const error silent{error_code::unavailable, "nobody answers at " + *where,
                     "is `troupe cluster invite` still waiting there, and does a firewall let the "
                     "port through?"};
  try {
    zmq::context_t context{1};
    zmq::socket_t socket(context, zmq::socket_type::req);
    set_bounds(socket);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::reconnect_ivl, retry_ms);
    dial_encrypted(socket, keys.guest, keys.door.shown);
    dial_watch watch(context, socket, 1);
    socket.connect(*where);
    socket.send(zmq::buffer(request), zmq::send_flags::dontwait);
    for (const auto until = steady_clock::now() + wait_max; steady_clock::now() < until;) {
      zmq::pollitem_t watched[] = {{socket.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(watched, 1, milliseconds(20));
      zmq::message_t reply;
      if (socket.recv(reply, zmq::recv_flags::dontwait)) {
        if (reply.size() == 0) return silent;
        return reply.to_string();
      }
      if (watch.look())
        return error{error_code::permission_denied,
                     "what listens at " + *where + " does not know this code",
                     "is the code whole, and is the address that of the invitation?"};
    }
    return silent;
  } catch (const zmq::error_t& e) {
    return error{error_code::internal, "cannot knock at " + *where + ": " + e.what(), ""};
  }
}

}  // namespace troupe::link
