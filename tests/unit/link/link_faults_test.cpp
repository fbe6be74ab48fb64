// What a node's own faults do to its link: frames go nowhere or come later, and then all is well.
#include "cluster/link/link_faults.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

using namespace std::chrono_literals;

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

link_settings with(const std::shared_ptr<link_faults>& faults,
                   std::chrono::milliseconds silence = 3000ms) {
  link_settings settings = observed_endpoint::listening();
  settings.faults = faults;
  settings.silence_max = silence;
  return settings;
}

link_fault for_seconds(double seconds) {
  link_fault fault;
  fault.from_us = now_us();
  fault.until_us = fault.from_us + static_cast<std::uint64_t>(seconds * 1e6);
  return fault;
}

TEST_CASE("a fault of the link holds between its moments, for those it names") {
  link_faults faults;
  CHECK_FALSE(faults.swallows("a", 150));
  faults.begin({.peers = {"a"}, .from_us = 100, .until_us = 200});
  CHECK_FALSE(faults.swallows("a", 99));
  CHECK(faults.swallows("a", 100));
  CHECK_FALSE(faults.swallows("b", 150));
  CHECK_FALSE(faults.swallows("", 150));
  CHECK_FALSE(faults.swallows("a", 200));
  faults.begin({.everyone = true, .from_us = 100, .until_us = 200});
  CHECK(faults.swallows("", 150));
  CHECK(faults.swallowed() == 2);
  faults.end();
  CHECK_FALSE(faults.swallows("", 150));
  faults.begin({.delay_us = 7, .from_us = 100, .until_us = 200});
  CHECK(faults.delay_us(150) == 7);
  CHECK(faults.delay_us(200) == 0);
}

TEST_CASE("a short silence delays; nothing is lost or comes twice") {
  const auto faults = std::make_shared<link_faults>();
  observed_endpoint a("a", 1, with(faults)), b("b", 1, with(nullptr));
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  REQUIRE(b.events.wait_up());
  link_fault pause = for_seconds(0.8);
  pause.everyone = true;
  faults->begin(pause);
  for (std::uint64_t i = 0; i < 100; ++i) {
    REQUIRE(a.link->send(envelope_to("b", i)).ok());
    REQUIRE(b.link->send(envelope_to("a", i)).ok());
  }
  std::this_thread::sleep_for(100ms);
  CHECK(b.events.envelopes().empty());
  CHECK(a.events.envelopes().empty());
  REQUIRE(a.events.wait_envelopes(100));
  REQUIRE(b.events.wait_envelopes(100));
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(a.events.envelopes()[i]->correlation() == i);
    CHECK(b.events.envelopes()[i]->correlation() == i);
  }
  CHECK(a.events.downs().empty());
  CHECK(faults->swallowed() > 0);
}

TEST_CASE("who is cut off from one peer loses it, keeps the other, and finds it again") {
  const auto faults = std::make_shared<link_faults>();
  observed_endpoint a("a", 1, with(faults, 600ms)), b("b", 1, with(nullptr, 600ms)),
      c("c", 1, with(nullptr, 600ms));
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(c.link->connect(a.link->address()).ok());
  REQUIRE(a.events.wait_up(2));
  REQUIRE(b.events.wait_up());
  REQUIRE(c.events.wait_up());
  link_fault partition = for_seconds(3);
  partition.peers = {"b"};
  faults->begin(partition);
  REQUIRE(a.events.wait_down());
  REQUIRE(b.events.wait_down());
  CHECK(a.events.downs()[0].who.name == "b");
  CHECK(a.link->send(envelope_to("b", 1)).failure().code == error_code::unavailable);
  REQUIRE(a.link->send(envelope_to("c", 1)).ok());
  REQUIRE(c.events.wait_envelopes(1));
  REQUIRE(a.events.wait_up(3));  // nobody ended the fault
  REQUIRE(b.events.wait_up(2));
  CHECK(now_us() >= partition.until_us);
  CHECK(c.events.downs().empty());
  REQUIRE(b.link->send(envelope_to("a", 5)).ok());
  REQUIRE(a.link->send(envelope_to("b", 6)).ok());
  REQUIRE(a.events.wait_envelopes(1));
  REQUIRE(b.events.wait_envelopes(1));
  CHECK(b.events.envelopes().back()->correlation() == 6);
}

TEST_CASE("what leaves later comes in order, and at once again afterwards") {
  const auto faults = std::make_shared<link_faults>();
  observed_endpoint a("a", 1, with(faults)), b("b", 1, with(nullptr));
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  REQUIRE(b.events.wait_up());
  link_fault slow = for_seconds(30);
  slow.delay_us = 300'000;
  faults->begin(slow);
  const auto sent_at = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(a.link->send(envelope_to("b", i)).ok());
  REQUIRE(b.events.wait_envelopes(50));
  CHECK(std::chrono::steady_clock::now() - sent_at >= 300ms);
  faults->end();
  for (std::uint64_t i = 50; i < 100; ++i) REQUIRE(a.link->send(envelope_to("b", i)).ok());
  REQUIRE(b.events.wait_envelopes(100));
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(b.events.envelopes()[i]->correlation() == i);
  CHECK(a.events.downs().empty());
}

}  // namespace
}  // namespace troupe::link
