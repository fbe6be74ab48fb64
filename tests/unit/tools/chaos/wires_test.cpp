#include "tools/chaos/wires.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace troupe::chaos {
namespace {

using std::chrono::milliseconds;

struct listener {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;
  listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket, 4) == 0);
    REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~listener() { ::close(socket); }
};

void read_for_at_most(int socket, milliseconds time) {
  timeval wait{time.count() / 1000, static_cast<suseconds_t>(time.count() % 1000 * 1000)};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

// What comes within the time, up to that many bytes.
std::string read_from(int socket, std::size_t bytes, milliseconds time) {
  read_for_at_most(socket, time);
  std::string out;
  while (out.size() < bytes) {
    char piece[4096];
    const ssize_t size = ::recv(socket, piece, std::min(sizeof piece, bytes - out.size()), 0);
    if (size <= 0) break;
    out.append(piece, static_cast<std::size_t>(size));
  }
  return out;
}

struct wired_pair {
  wires net{7};
  listener behind;
  int near = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), far = -1;
  wired_pair() {
    const int port = net.lay("a", "b", behind.port);
    REQUIRE(port > 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::connect(near, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    far = ::accept(behind.socket, nullptr, nullptr);
    REQUIRE(far >= 0);
  }
  ~wired_pair() {
    ::close(near);
    ::close(far);
  }
  static void say(int socket, const std::string& text) {
    REQUIRE(::send(socket, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
};

constexpr milliseconds long_wait{10'000}, short_wait{150};

TEST_CASE("a wire carries both directions") {
  wired_pair pair;
  pair.say(pair.near, "hello");
  CHECK(read_from(pair.far, 5, long_wait) == "hello");
  pair.say(pair.far, "world");
  CHECK(read_from(pair.near, 5, long_wait) == "world");
}

TEST_CASE("what is held comes later, whole and in order; the other direction is free") {
  wired_pair pair;
  pair.net.set("a", "b", {.held = true});
  pair.say(pair.near, "one");
  CHECK(read_from(pair.far, 3, short_wait).empty());
  pair.say(pair.far, "free");
  CHECK(read_from(pair.near, 4, long_wait) == "free");
  pair.say(pair.near, "two");
  pair.net.set("a", "b", {});
  CHECK(read_from(pair.far, 6, long_wait) == "onetwo");
}

TEST_CASE("what is delayed comes, and not at once") {
  wired_pair pair;
  pair.net.set("a", "b", {.delay = milliseconds(400)});
  pair.say(pair.near, "late");
  CHECK(read_from(pair.far, 4, short_wait).empty());
  CHECK(read_from(pair.far, 4, long_wait) == "late");
}

TEST_CASE("a damaged wire changes bits and is counted") {
  wired_pair pair;
  pair.net.set("a", "b", {.damaged = true});
  std::string got;
  std::size_t sent = 0;
  while (pair.net.bytes_damaged() == 0 && sent < 10'000) {
    pair.say(pair.near, std::string(100, 'x'));
    got += read_from(pair.far, 100, long_wait);
    sent += 100;
  }
  REQUIRE(got.size() == sent);
  CHECK(pair.net.bytes_damaged() == 1);
  CHECK(static_cast<std::size_t>(std::count(got.begin(), got.end(), 'x')) == sent - 1);
}

TEST_CASE("a cut wire ends at both ends") {
  wired_pair pair;
  pair.net.cut("c");
  pair.say(pair.near, "still");
  CHECK(read_from(pair.far, 5, long_wait) == "still");
  pair.net.cut("b");
  char byte;
  read_for_at_most(pair.near, long_wait);
  read_for_at_most(pair.far, long_wait);
  CHECK(::recv(pair.near, &byte, 1, 0) <= 0);
  CHECK(::recv(pair.far, &byte, 1, 0) <= 0);
}

}  // namespace
}  // namespace troupe::chaos
