#include "cluster/link/waiting.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace troupe::link {
namespace {

using namespace std::chrono_literals;

// Waits in vain, looking every microsecond where that is allowed; gives the time spent looking.
std::uint64_t wait_in_vain(attention_core& attention, std::uint64_t& now) {
  const std::uint64_t begun = now;
  if (attention.begin(now))
    while (attention.again(++now)) {
    }
  const std::uint64_t looked = now - begun;
  now += 10'000;
  return looked;
}

TEST_CASE("where every look finds something, every wait begins with looking") {
  attention_core attention(true);
  for (std::uint64_t now = 0; now < 10'000; now += 40) {
    REQUIRE(attention.begin(now));
    CHECK(attention.again(now + 20));
    attention.found();
  }
}

TEST_CASE("looking in vain is short, and ever rarer") {
  attention_core attention(true);
  std::uint64_t now = 1000;
  for (const unsigned sleeps : {1u, 3u, 7u, 15u, 31u, 63u, 63u}) {
    CHECK(wait_in_vain(attention, now) == attention_core::stretch);
    for (unsigned i = 0; i < sleeps; ++i) CHECK(wait_in_vain(attention, now) == 0);
  }
  REQUIRE(attention.begin(now));
  attention.found();
  CHECK(wait_in_vain(attention, now) == attention_core::stretch);
  CHECK(wait_in_vain(attention, now) == 0);
  CHECK(wait_in_vain(attention, now) == attention_core::stretch);
}

TEST_CASE(
    "where somebody else takes the core, looking stops for long; on one core it never begins") {
  attention_core attention(true);
  std::uint64_t now = 1000;
  REQUIRE(attention.begin(now));
  CHECK_FALSE(attention.again(now + attention_core::lent_max + 1));
  for (unsigned i = 0; i < attention_core::sleeps_max; ++i) CHECK_FALSE(attention.begin(now));
  CHECK(attention.begin(now));
  attention_core alone(false);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(alone.begin(now));
}

TEST_CASE("a wait names what is readable, and ends when woken") {
  auto opened = waiting::open();
  REQUIRE(opened.ok());
  waiting& waits = **opened;
  const int first = ::eventfd(0, EFD_CLOEXEC), second = ::eventfd(0, EFD_CLOEXEC);
  REQUIRE(waits.watch(first, 7).ok());
  REQUIRE(waits.watch(second, 8).ok());
  CHECK(waits.wait(1ms).empty());
  const std::uint64_t one = 1;
  REQUIRE(::write(second, &one, sizeof one) == sizeof one);
  for (int i = 0; i < 3; ++i) {  // for as long as nobody reads it
    const auto keys = waits.wait(10s);
    REQUIRE(keys.size() == 1);
    CHECK(keys[0] == 8);
  }
  waits.forget(second);
  CHECK(waits.wait(1ms).empty());
  std::thread waker([&] { waits.wake(); });
  CHECK(waits.wait(60s).empty());
  waker.join();
  CHECK_FALSE(waits.watch(-1, 9).ok());
  ::close(first);
  ::close(second);
}

}  // namespace
}  // namespace troupe::link
