#include "cluster/link/gatekeeper.hpp"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cluster/link/curve_sockets.hpp"
#include "cluster/link/uninterrupted.hpp"

namespace troupe::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t request_parts = 7;  // of CURVE; RFC 27
constexpr milliseconds proof_wait{10'000};
constexpr milliseconds strangers_told_every{1'000};

std::string bytes_of(const zmq::message_t& part) {
  return std::string(part.data<char>(), part.size());
}

}  // namespace

result<std::unique_ptr<gatekeeper>> gatekeeper::open(zmq::context_t& context,
                                                     std::set<keys::public_key> admitted) {
  std::unique_ptr<gatekeeper> out(new gatekeeper);
  out->admitted_ = std::move(admitted);
  out->stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (out->stop_ < 0)
    return error{error_code::resource_exhausted, "no descriptor is left for the link's gatekeeper",
                 "raise the limit of open files"};
  try {
    out->requests_ = zmq::socket_t(context, zmq::socket_type::rep);
    out->requests_.set(zmq::sockopt::linger, 0);
    out->requests_.bind("inproc://zeromq.zap.01");
  } catch (const zmq::error_t& e) {
    return error{error_code::internal, std::string("the link's gatekeeper: ") + e.what(), ""};
  }
  out->thread_ = std::thread([keeper = out.get()] { keeper->answer_requests(); });
  return out;
}

gatekeeper::~gatekeeper() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    while (::write(stop_, &one, sizeof one) < 0 && errno == EINTR) {
    }
    thread_.join();
  }
  if (stop_ >= 0) ::close(stop_);
}

void gatekeeper::allow(std::set<keys::public_key> admitted) {
  const std::lock_guard hold(guard_);
  admitted_ = std::move(admitted);
}

bool gatekeeper::admits(const keys::public_key& key) {
  const std::lock_guard hold(guard_);
  return admitted_.contains(key);
}

void gatekeeper::tell_of_stranger(const keys::public_key& key, const std::string& from) {
  if (!telling_) return;
  ++strangers_;
  const auto now = steady_clock::now();
  if (strangers_told_ > 0 && now - told_at_ < strangers_told_every) return;
  told_at_ = now;
  spdlog::warn("link_stranger_refused key={} from={} times={}", key.text(), from,
               strangers_ - strangers_told_);
  strangers_told_ = strangers_;
}

void gatekeeper::answer_one() {
  std::vector<std::string> parts;
  zmq::message_t part;
  do {
    if (!uninterrupted([&] { return requests_.recv(part).has_value(); })) return;
    if (parts.size() <= request_parts) parts.push_back(bytes_of(part));
  } while (part.more());
  // version, request id, domain, address, routing id, mechanism, key
  std::array<std::uint8_t, keys::key_bytes> bytes{};
  const bool whole = parts.size() == request_parts && parts[0] == "1.0" && parts[5] == "CURVE" &&
                     parts[6].size() == keys::key_bytes;
  if (whole) std::memcpy(bytes.data(), parts[6].data(), keys::key_bytes);
  const keys::public_key key(bytes);
  const bool welcome = whole && !key.empty() && admits(key);
  if (!welcome) tell_of_stranger(key, parts.size() > 3 ? parts[3] : std::string());
  const std::string reply[] = {"1.0",
                               parts.size() > 1 ? parts[1] : std::string(),
                               welcome ? "200" : "400",
                               welcome ? "" : "not listed",
                               welcome ? key.text() : "",
                               ""};
  for (std::size_t i = 0; i < std::size(reply); ++i)
    uninterrupted([&] {
      return requests_.send(zmq::buffer(reply[i]), i + 1 < std::size(reply)
                                                       ? zmq::send_flags::sndmore
                                                       : zmq::send_flags::none);
    });
}

void gatekeeper::answer_requests() {
  try {
    zmq::pollitem_t watched[] = {{requests_.handle(), 0, ZMQ_POLLIN, 0},
                                 {nullptr, stop_, ZMQ_POLLIN, 0}};
    for (;;) {
      uninterrupted([&] { return zmq::poll(watched, 2, milliseconds(-1)); });
      if (watched[1].revents) break;
      if (watched[0].revents) answer_one();
    }
  } catch (const std::exception& e) {
    spdlog::critical("link_gatekeeper_ended why={}", e.what());
  }
  alive_ = false;
  requests_.close();
}

namespace {

struct knocking {
  zmq::socket_t socket, monitor;
  bool refused = false, admitted = false;

  knocking(zmq::context_t& context, const keys::key_pair& as, const keys::public_key& server,
           const std::string& address, const std::string& word) {
    socket = zmq::socket_t(context, zmq::socket_type::push);
    socket.set(zmq::sockopt::linger, 0);
    dial_encrypted(socket, as, server);
    const std::string told = "inproc://knocking-" + word;
    if (zmq_socket_monitor(socket.handle(), told.c_str(),
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) != 0)
      throw zmq::error_t();
    monitor = zmq::socket_t(context, zmq::socket_type::pair);
    monitor.set(zmq::sockopt::linger, 0);
    monitor.connect(told);
    socket.connect(address);
    socket.send(zmq::buffer(word), zmq::send_flags::dontwait);
  }
  ~knocking() { zmq_socket_monitor(socket.handle(), nullptr, 0); }  // before its reader goes
  void look() {
    zmq::message_t part;
    while (monitor.recv(part, zmq::recv_flags::dontwait)) {
      std::uint16_t event = 0;
      if (part.size() >= sizeof event && part.more()) {
        std::memcpy(&event, part.data(), sizeof event);
        (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? admitted : refused) = true;
      }
      while (part.more() && monitor.recv(part, zmq::recv_flags::dontwait)) {
      }
    }
  }
};

error unproven(const std::string& what) {
  return {error_code::permission_denied,
          "the link's own test of its door failed: " + what + "; it will not listen",
          "this libzmq does not keep strangers out; install another (4.3.4 is known to)"};
}

}  // namespace

status prove_gate(zmq::context_t& context, const keys::key_pair& own) {
  const auto nobody = make_key_pair();
  if (!nobody) return nobody.failure();
  try {
    zmq::socket_t door(context, zmq::socket_type::pull);
    door.set(zmq::sockopt::linger, 0);
    serve_encrypted(door, own);
    door.bind("tcp://127.0.0.1:*");
    const std::string address = door.get(zmq::sockopt::last_endpoint);
    knocking stranger(context, *nobody, own.shown, address, "stranger");
    knocking friendly(context, own, own.shown, address, "friend");
    bool came = false;
    for (const auto until = steady_clock::now() + proof_wait; !(came && stranger.refused);) {
      if (steady_clock::now() >= until)
        return unproven(came ? "a key that nobody knows was not turned away in time"
                             : "its own key did not get through in time");
      zmq::pollitem_t watched[] = {{door.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(watched, 1, milliseconds(5));
      stranger.look();
      friendly.look();
      if (friendly.refused) return unproven("its own key was turned away");
      if (stranger.admitted) return unproven("a key that nobody knows was let in");
      zmq::message_t got;
      while (door.recv(got, zmq::recv_flags::dontwait)) {
        if (got.to_string_view() != "friend")
          return unproven("a word of a key that nobody knows came through");
        if (bearer_of(got) != own.shown) return unproven("its own key came without its name");
        came = true;
      }
    }
    return {};
  } catch (const zmq::error_t& e) {
    return unproven(e.what());
  }
}

}  // namespace troupe::link
