#include "cluster/link/asked_mechanism.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

namespace troupe::link {
namespace {

using std::chrono::steady_clock;

// Signature and major version: after these the other side sends the whole of its greeting, and
// waits for ours.
constexpr std::array<unsigned char, 11> beginning = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3};
constexpr std::size_t mechanism_at = 12, mechanism_bytes = 20;

class tcp_socket {
 public:
  explicit tcp_socket(const addrinfo& to)
      : fd_(::socket(to.ai_family, to.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (fd_ >= 0 && ::connect(fd_, to.ai_addr, to.ai_addrlen) != 0 && errno != EINPROGRESS) close();
  }
  ~tcp_socket() { close(); }
  tcp_socket(const tcp_socket&) = delete;
  tcp_socket& operator=(const tcp_socket&) = delete;
  int fd() const { return fd_; }
  bool ready(short events, steady_clock::time_point until) const {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
      if (fd_ < 0 || left <= 0) return false;
      pollfd one{fd_, events, 0};
      const int count = ::poll(&one, 1, static_cast<int>(left));
      if (count > 0) return true;
      if (count == 0 || errno != EINTR) return false;
    }
  }

 private:
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd_;
};

}  // namespace

std::optional<std::string> asked_mechanism(const std::string& address,
                                           std::chrono::milliseconds wait_max) {
  constexpr std::string_view scheme = "tcp://";
  const std::size_t colon = address.rfind(':');
  if (!address.starts_with(scheme) || colon <= scheme.size()) return std::nullopt;
  const std::string host = address.substr(scheme.size(), colon - scheme.size());
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0)
    return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> resolved(found, ::freeaddrinfo);
  const auto until = steady_clock::now() + wait_max;
  const tcp_socket socket(*resolved);
  if (!socket.ready(POLLOUT, until) ||
      ::send(socket.fd(), beginning.data(), beginning.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(beginning.size()))
    return std::nullopt;
  std::string greeting;
  while (greeting.size() < mechanism_at + mechanism_bytes) {
    char bytes[64];
    if (!socket.ready(POLLIN, until)) return std::nullopt;
    const ssize_t count = ::recv(socket.fd(), bytes, sizeof bytes, 0);
    if (count <= 0) return std::nullopt;
    greeting.append(bytes, static_cast<std::size_t>(count));
  }
  if (static_cast<unsigned char>(greeting[0]) != 0xff || greeting[10] != 3) return std::nullopt;
  return std::string(greeting.substr(mechanism_at, mechanism_bytes).c_str());
}

}  // namespace troupe::link
