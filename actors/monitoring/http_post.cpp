#include "actors/monitoring/http_post.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>

namespace troupe {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class socket_handle {
 public:
  explicit socket_handle(int number) : number_(number) {}
  ~socket_handle() {
    if (number_ >= 0) ::close(number_);
  }
  socket_handle(const socket_handle&) = delete;
  socket_handle& operator=(const socket_handle&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

error late(const http_place& to) {
  return {error_code::deadline_exceeded, to.host + ":" + to.port + " did not answer in time",
          "is it overloaded, or the wrong port?"};
}

error absent(const http_place& to, const char* what) {
  return {error_code::unavailable, to.host + ":" + to.port + ": " + what,
          "is it running, and is the address right?"};
}

// False: the time is over.
bool wait_for(int number, short what, steady_clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd watched{number, what, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

result<int> status_in(const http_place& to, std::string_view answer) {
  constexpr std::string_view start = "HTTP/1.";
  int status = 0;
  if (answer.size() < 12 || !answer.starts_with(start)) return absent(to, "it speaks no HTTP");
  const auto read = std::from_chars(answer.data() + 9, answer.data() + 12, status);
  if (read.ec != std::errc()) return absent(to, "it speaks no HTTP");
  return status;
}

}  // namespace

result<http_place> http_place_of(std::string_view url) {
  const error wrong{error_code::invalid_argument,
                    "\"" + std::string(url.substr(0, 256)) + "\" is no address to post to",
                    "http://HOST:PORT/PATH; for https run a collector beside the node"};
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) return wrong;
  url.remove_prefix(scheme.size());
  const std::size_t slash = std::min(url.find('/'), url.size());
  const std::string_view where = url.substr(0, slash);
  const std::size_t bracket = where.rfind(']'), colon = where.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  std::string_view host = where.substr(0, has_port ? colon : where.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view port = has_port ? where.substr(colon + 1) : std::string_view("80");
  unsigned number = 0;
  const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
  if (host.empty() || read.ec != std::errc() || read.ptr != port.data() + port.size() ||
      number == 0 || number > 65535)
    return wrong;
  for (const char c : url)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return wrong;
  return http_place{std::string(host), std::string(port),
                    slash < url.size() ? std::string(url.substr(slash)) : std::string("/")};
}

result<int> http_post(const http_place& to, std::string_view content_type, std::string_view body,
                      milliseconds wait_max) {
  const auto until = steady_clock::now() + wait_max;
  addrinfo wish{};
  wish.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(to.host.c_str(), to.port.c_str(), &wish, &found) != 0)
    return absent(to, "the name is not known");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  const socket_handle open(
      ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (open.number() < 0) return absent(to, "no socket is left");
  if (::connect(open.number(), found->ai_addr, found->ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return absent(to, "nobody takes the connection");
    if (!wait_for(open.number(), POLLOUT, until)) return late(to);
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(open.number(), SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) return absent(to, "nobody takes the connection");
  }
  const bool six = to.host.find(':') != std::string::npos;
  std::string message = "POST " + to.path + " HTTP/1.1\r\nHost: " + (six ? "[" : "") + to.host +
                        (six ? "]" : "") + ":" + to.port +
                        "\r\nContent-Type: " + std::string(content_type) +
                        "\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\nUser-Agent: troupe\r\nConnection: close\r\n\r\n";
  message += body;
  for (std::size_t sent = 0; sent < message.size();) {
    const ssize_t now =
        ::send(open.number(), message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
    if (now > 0) {
      sent += static_cast<std::size_t>(now);
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait_for(open.number(), POLLOUT, until)) return late(to);
    } else {
      return absent(to, "it closed the connection");
    }
  }
  std::string answer;
  while (answer.size() < 12) {
    if (!wait_for(open.number(), POLLIN, until)) return late(to);
    char piece[512];
    const ssize_t now = ::recv(open.number(), piece, sizeof piece, 0);
    if (now > 0)
      answer.append(piece, static_cast<std::size_t>(now));
    else if (now == 0 || (errno != EAGAIN && errno != EINTR))
      break;
  }
  return status_in(to, answer);
}

}  // namespace troupe
