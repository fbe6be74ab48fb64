#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

using namespace std::chrono_literals;

status send_patiently(endpoint& from, const envelope_ptr& message) {
  for (;;) {
    status done = from.send(message);
    if (done.ok() || done.failure().code != error_code::resource_exhausted) return done;
    std::this_thread::sleep_for(1ms);
  }
}

TEST_CASE("two nodes meet, exchange envelopes in order and part") {
  observed_endpoint a("a"), b("b");
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  REQUIRE(b.events.wait_up());
  CHECK(a.events.ups()[0].who.name == "b");
  CHECK(b.events.ups()[0].who.name == "a");
  for (std::uint64_t i = 0; i < 2000; ++i) {
    REQUIRE(send_patiently(*a.link, envelope_to("b", i)).ok());
    REQUIRE(send_patiently(*b.link, envelope_to("a", i)).ok());
  }
  REQUIRE(a.events.wait_envelopes(2000));
  REQUIRE(b.events.wait_envelopes(2000));
  const auto at_a = a.events.envelopes(), at_b = b.events.envelopes();
  for (std::uint64_t i = 0; i < 2000; ++i) {
    CHECK(at_a[i]->correlation() == i);
    CHECK(at_b[i]->correlation() == i);
  }
  a.link.reset();
  REQUIRE(b.events.wait_down());
  CHECK(b.events.undelivered().empty());
  CHECK(b.link->send(envelope_to("a", 1)).failure().code == error_code::unavailable);
}

TEST_CASE("an envelope goes back and forth from within the events") {
  observed_endpoint a("a"), b("b");
  b.events.react([&](const peer_view& from, const envelope_ptr& m) {
    CHECK(b.link->send(envelope_to(from.who.name, m->correlation() + 1)).ok());
  });
  a.events.react([&](const peer_view& from, const envelope_ptr& m) {
    if (m->correlation() < 200)
      CHECK(a.link->send(envelope_to(from.who.name, m->correlation() + 1)).ok());
  });
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  REQUIRE(a.link->send(envelope_to("b", 1)).ok());
  REQUIRE(a.events.wait_envelopes(100));
  CHECK(a.events.envelopes()[99]->correlation() == 200);
}

TEST_CASE("nodes that dial each other have one session") {
  for (int round = 0; round < 5; ++round) {
    observed_endpoint a("a"), b("b");
    REQUIRE(a.link->connect(b.link->address()).ok());
    REQUIRE(b.link->connect(a.link->address()).ok());
    REQUIRE(a.events.wait_up());
    REQUIRE(b.events.wait_up());
    REQUIRE(a.link->send(envelope_to("b", 7)).ok());
    REQUIRE(b.link->send(envelope_to("a", 8)).ok());
    REQUIRE(a.events.wait_envelopes(1));
    REQUIRE(b.events.wait_envelopes(1));
    std::this_thread::sleep_for(50ms);
    CHECK(a.events.ups().size() == 1);
    CHECK(b.events.ups().size() == 1);
    CHECK(a.events.downs().empty());
    CHECK(b.events.downs().empty());
  }
}

TEST_CASE("a node that dials itself stays alone") {
  observed_endpoint a("a"), b("b");
  REQUIRE(a.link->connect(a.link->address()).ok());
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  CHECK(a.events.ups()[0].who.name == "b");
  CHECK(a.link->send(envelope_to("a", 1)).failure().code == error_code::unavailable);
}

TEST_CASE("a peer may be dialled before it is there, and comes back as a new incarnation") {
  link_settings settings = observed_endpoint::listening();
  auto b = std::make_unique<observed_endpoint>("b", 1, settings);
  settings.listen = b->link->address();
  b.reset();
  observed_endpoint a("a");
  REQUIRE(a.link->connect(settings.listen).ok());
  for (std::uint64_t incarnation = 1; incarnation <= 3; ++incarnation) {
    b = std::make_unique<observed_endpoint>("b", incarnation, settings);
    REQUIRE(b->link);
    REQUIRE(a.events.wait_up(incarnation));
    CHECK(a.events.ups().back().who.incarnation == incarnation);
    b.reset();
    REQUIRE(a.events.wait_down(incarnation));
  }
}

TEST_CASE("a lower incarnation is refused while the higher one is known") {
  observed_endpoint a("a");
  link_settings outgoing;
  observed_endpoint second("b", 2, outgoing);
  REQUIRE(second.link->connect(a.link->address()).ok());
  REQUIRE(a.events.wait_up());
  observed_endpoint first("b", 1, outgoing);
  REQUIRE(first.link->connect(a.link->address()).ok());
  CHECK_FALSE(first.events.wait_up(1, 300ms));
  observed_endpoint third("b", 3, outgoing);
  REQUIRE(third.link->connect(a.link->address()).ok());
  REQUIRE(a.events.wait_up(2));
  CHECK(a.events.ups()[1].who.incarnation == 3);
  REQUIRE(a.events.wait_down());
  CHECK(a.events.downs()[0].who.incarnation == 2);
}

TEST_CASE("a client without a port of its own is answered") {
  observed_endpoint node("n");
  observed_endpoint client("client-1", 1, link_settings{}, peer_role::client);
  CHECK(client.link->address().empty());
  REQUIRE(client.link->connect(node.link->address()).ok());
  REQUIRE(node.events.wait_up());
  CHECK(node.events.ups()[0].who.role == peer_role::client);
  REQUIRE(node.link->send(envelope_to("client-1", 5)).ok());
  REQUIRE(client.events.wait_envelopes(1));
  client.link->disconnect(node.link->address());
  REQUIRE(node.events.wait_down());
  REQUIRE(client.events.wait_down());
}

TEST_CASE("a payload of 200 MB goes through, and small ones go past it") {
  observed_endpoint a("a"), b("b");
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  std::string payload(200u << 20, '\0');
  for (std::size_t i = 0; i < payload.size(); i += 64) payload[i] = static_cast<char>(i * 31 >> 6);
  const auto large = envelope_to("b", 1, std::move(payload), "loader");
  REQUIRE(a.link->send(large).ok());
  CHECK(a.link->send(large).failure().code == error_code::resource_exhausted);
  REQUIRE(a.link->send(envelope_to("b", 2, "small", "loader")).ok());  // same actors: waits
  for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(a.link->send(envelope_to("b", 10 + i)).ok());
  REQUIRE(b.events.wait_envelopes(22));
  CHECK(b.events.envelopes()[0]->correlation() == 10);
  CHECK(b.events.envelopes()[19]->correlation() == 29);
  CHECK(b.events.envelopes()[20]->correlation() == 1);
  CHECK(b.events.envelopes()[20]->count_flood().payload() == large->count_flood().payload());
  CHECK(b.events.envelopes()[21]->correlation() == 2);
}

TEST_CASE("many threads send at once; each one's order holds") {
  observed_endpoint a("a"), b("b");
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  constexpr std::uint64_t threads = 4, each = 5000;
  std::vector<std::thread> senders;
  std::atomic<int> failed{0};
  for (std::uint64_t t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < each; ++i)
        if (!send_patiently(*a.link, envelope_to("b", t << 32 | i)).ok()) ++failed;
    });
  for (auto& sender : senders) sender.join();
  CHECK(failed == 0);
  REQUIRE(b.events.wait_envelopes(threads * each));
  std::uint64_t next[threads] = {};
  for (const auto& m : b.events.envelopes())
    CHECK((m->correlation() & 0xffffffff) == next[m->correlation() >> 32]++);
  const auto links = a.link->links();
  REQUIRE(links.size() == 1);
  CHECK(links[0].messages_sent() == threads * each);
  CHECK(links[0].up());
}

TEST_CASE("what cannot be opened or sent is said with its mend") {
  observed_events events;
  link_settings settings = observed_endpoint::listening();
  observed_endpoint a("a");
  settings.listen = a.link->address();
  auto taken = endpoint::open({"b", 1, peer_role::node}, settings, events);
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.failure().code == error_code::unavailable);
  CHECK(taken.failure().message.find("is taken") != std::string::npos);
  CHECK_FALSE(taken.failure().mend.empty());
  for (const char* open_to_all : {"tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.168.1.1:7411"}) {
    settings.listen = open_to_all;
    auto refused = endpoint::open({"b", 1, peer_role::node}, settings, events);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == error_code::permission_denied);
  }
  settings.listen = "nonsense";
  CHECK(endpoint::open({"b", 1, peer_role::node}, settings, events).failure().code ==
        error_code::invalid_argument);
  CHECK_FALSE(a.link->connect("127.0.0.1:99999").ok());
  CHECK(a.link->send(nullptr).failure().code == error_code::invalid_argument);
  CHECK(a.link->send(std::make_shared<proto::Envelope>()).failure().code ==
        error_code::invalid_argument);
  CHECK(a.link->send(envelope_to("nobody", 1)).failure().code == error_code::unavailable);
}

}  // namespace
}  // namespace troupe::link
