#include "tools/chaos/wires.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace troupe::chaos {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t waiting_bytes_max = 1u << 20;  // then the sender waits, as on a full wire
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::uint64_t damaged_one_in = 16;  // reads
constexpr int look_every_ms = 5;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int new_socket() {
  return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

}  // namespace

wires::wires(std::uint64_t seed) : random_(seed), thread_([this] { pass(); }) {}

wires::~wires() {
  stopping_ = true;
  thread_.join();
  for (const connection& c : connections_) {
    ::close(c.there.in);
    ::close(c.there.out);
  }
  for (const door& d : doors_) ::close(d.socket);
}

int wires::lay(const std::string& from, const std::string& to, int port) {
  const int listener = new_socket();
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 16) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(listener);
    return 0;
  }
  const std::lock_guard lock(guard_);
  doors_.push_back({listener, {from, to}, port});
  return ntohs(address.sin_port);
}

void wires::set(const std::string& from, const std::string& to, wire_state state) {
  const std::lock_guard lock(guard_);
  states_[{from, to}] = state;
}

void wires::cut(const std::string& node) {
  const std::lock_guard lock(guard_);
  for (connection& c : connections_)
    if (c.there.names.first == node || c.there.names.second == node) c.broken = true;
}

wire_state wires::state_of(const ends& names) const {
  const auto found = states_.find(names);
  return found == states_.end() ? wire_state{} : found->second;
}

void wires::open(const door& at) {
  const int near = ::accept4(at.socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (near < 0) return;
  const int far = new_socket();
  const sockaddr_in address = loopback(at.port);
  if (::connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    ::close(near);
    ::close(far);
    return;
  }
  const int on = 1;
  ::setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connection c;
  c.there.in = c.back.out = near;
  c.there.out = c.back.in = far;
  c.there.names = at.names;
  c.back.names = {at.names.second, at.names.first};
  connections_.push_back(std::move(c));
}

void wires::damage(std::string& bytes) {
  if (random_() % damaged_one_in != 0) return;
  bytes[random_() % bytes.size()] ^= static_cast<char>(1u << (random_() % 8));
  ++damaged_;
}

void wires::pump(flow& f, connection& c, steady_clock::time_point now) {
  const wire_state state = state_of(f.names);
  if (state.held) return;
  while (!f.closed && f.waiting_bytes < waiting_bytes_max) {
    std::string bytes(read_bytes, '\0');
    const ssize_t size = ::read(f.in, bytes.data(), bytes.size());
    if (size < 0 && (errno == EAGAIN || errno == ENOTCONN)) break;
    if (size <= 0) {
      f.closed = true;
      break;
    }
    bytes.resize(static_cast<std::size_t>(size));
    if (state.damaged) damage(bytes);
    f.waiting_bytes += bytes.size();
    f.waiting.push_back({now + state.delay, std::move(bytes)});
  }
  while (!f.waiting.empty() && f.waiting.front().due <= now) {
    piece& next = f.waiting.front();
    const ssize_t size = ::send(f.out, next.bytes.data() + next.written,
                                next.bytes.size() - next.written, MSG_NOSIGNAL);
    if (size < 0 && (errno == EAGAIN || errno == ENOTCONN)) break;
    if (size < 0) {
      c.broken = true;
      return;
    }
    next.written += static_cast<std::size_t>(size);
    if (next.written < next.bytes.size()) break;
    f.waiting_bytes -= next.bytes.size();
    f.waiting.pop_front();
  }
  if (f.closed && f.waiting.empty()) c.broken = true;
}

void wires::pass() {
  while (!stopping_) {
    std::vector<pollfd> watched;
    {
      const std::lock_guard lock(guard_);
      const auto now = steady_clock::now();
      for (std::size_t i = 0; i < doors_.size(); ++i) open(doors_[i]);
      for (auto at = connections_.begin(); at != connections_.end();) {
        pump(at->there, *at, now);
        pump(at->back, *at, now);
        if (at->broken) {
          ::close(at->there.in);
          ::close(at->there.out);
          at = connections_.erase(at);
          continue;
        }
        for (const flow* f : {&at->there, &at->back})
          if (!state_of(f->names).held && f->waiting_bytes < waiting_bytes_max)
            watched.push_back({f->in, POLLIN, 0});
        ++at;
      }
      for (const door& d : doors_) watched.push_back({d.socket, POLLIN, 0});
    }
    ::poll(watched.data(), watched.size(), look_every_ms);
  }
}

}  // namespace troupe::chaos
