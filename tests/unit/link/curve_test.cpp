// Keys on real sockets: who gets through, who does not, and what the one outside is told.
#include <doctest/doctest.h>

#include <thread>

#include "cluster/link/asked_mechanism.hpp"
#include "cluster/link/curve_sockets.hpp"
#include "cluster/link/gatekeeper.hpp"
#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

using namespace std::chrono_literals;
using keys::key_role;

keys::key_pair fresh() {
  auto made = make_key_pair();
  REQUIRE(made.ok());
  return *made;
}

keys::allow_list list_of(const std::vector<keys::allowed_key>& entries) {
  keys::allow_list out;
  for (const keys::allowed_key& one : entries) REQUIRE(out.add(one).ok());
  return out;
}

link_settings with_keys(const keys::key_pair& own, const std::vector<keys::allowed_key>& allowed,
                        const char* listen = "tcp://127.0.0.1:0") {
  link_settings out;
  out.listen = listen;
  out.security.own = own;
  out.security.allowed = list_of(allowed);
  return out;
}

// Settings of one that only dials, and knows the key of that address.
link_settings dialling(const keys::key_pair& own, const std::string& address,
                       const keys::public_key& server) {
  link_settings out = with_keys(own, {}, "");
  out.security.servers[address] = server;
  return out;
}

template <class Condition>
bool eventually(Condition&& holds) {
  for (int i = 0; i < 2000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

bool told(const endpoint& link, const std::string& words) {
  return eventually([&] {
    const auto why = link.dial_trouble();
    return why && why->message.find(words) != std::string::npos && !why->mend.empty();
  });
}

TEST_CASE("a pair's halves belong together") {
  const keys::key_pair one = fresh(), two = fresh();
  CHECK(one.shown != two.shown);
  CHECK(check_key_pair(one).ok());
  CHECK(pair_of(one.kept)->shown == one.shown);
  CHECK(check_key_pair({two.shown, one.kept}).failure().code == error_code::data_corrupt);
  observed_events events;
  CHECK(endpoint::open({"a", 1, peer_role::node}, with_keys({two.shown, one.kept}, {}), events)
            .failure()
            .code == error_code::data_corrupt);
}

TEST_CASE("what a node's greeting asks for is read every time, and of others nothing is said") {
  observed_endpoint keyed("a", 1, with_keys(fresh(), {}));
  observed_endpoint plain("b");
  REQUIRE(keyed.link);
  REQUIRE(plain.link);
  for (int i = 0; i < 20; ++i) CHECK(asked_mechanism(keyed.link->address(), 20s) == "CURVE");
  CHECK(asked_mechanism(plain.link->address(), 20s) == "NULL");
  zmq::context_t context;
  zmq::socket_t stranger(context, zmq::socket_type::stream);  // takes connections, greets nobody
  stranger.bind("tcp://127.0.0.1:*");
  const std::string at = stranger.get(zmq::sockopt::last_endpoint);
  CHECK_FALSE(asked_mechanism(at, 200ms));
  stranger.unbind(at);
  stranger.close();
  CHECK_FALSE(asked_mechanism("ipc://somewhere", 20s));
  CHECK_FALSE(asked_mechanism("tcp://127.0.0.1:1", 20s));
}

TEST_CASE("two nodes that list each other exchange envelopes") {
  const keys::key_pair of_a = fresh(), of_b = fresh();
  observed_endpoint a("a", 1, with_keys(of_a, {{key_role::node, "b", of_b.shown, {}}}));
  REQUIRE(a.link);
  observed_endpoint b("b", 1,
                      with_keys(of_b, {{key_role::node, "a", of_a.shown, a.link->address()}}));
  REQUIRE(b.link);
  REQUIRE(b.link->connect(a.link->address()).ok());
  REQUIRE(a.events.wait_up());
  REQUIRE(b.events.wait_up());
  CHECK(a.events.ups()[0].who.name == "b");
  for (std::uint64_t i = 0; i < 300; ++i) {
    REQUIRE(a.link->send(envelope_to("b", i, std::string(1000, 'x'))).ok());
    REQUIRE(b.link->send(envelope_to("a", i)).ok());
  }
  REQUIRE(a.link->send(envelope_to("b", 300, std::string(5 << 20, 'y'))).ok());
  REQUIRE(a.events.wait_envelopes(300));
  REQUIRE(b.events.wait_envelopes(301));
  CHECK(b.events.envelopes()[300]->count_flood().payload().size() == 5 << 20);
  CHECK_FALSE(a.link->shut());
}

TEST_CASE("a key that is not listed gets nothing, and is told so; once listed it gets through") {
  const keys::key_pair of_a = fresh(), of_b = fresh();
  observed_endpoint a("a", 1, with_keys(of_a, {}));
  REQUIRE(a.link);
  observed_endpoint b("b", 1, dialling(of_b, a.link->address(), of_a.shown));
  REQUIRE(b.link->connect(a.link->address()).ok());
  REQUIRE(told(*b.link, "does not list our key"));
  CHECK(a.events.ups().empty());
  CHECK(b.events.ups().empty());
  CHECK(b.link->send(envelope_to("a", 1)).failure().code == error_code::unavailable);
  a.link->allow(list_of({{key_role::node, "b", of_b.shown, {}}}));
  REQUIRE(b.events.wait_up());
  REQUIRE(a.events.wait_up());
}

TEST_CASE("no key, a key where none is wanted, and the wrong node's key: each is told apart") {
  const keys::key_pair of_a = fresh(), of_b = fresh();
  observed_endpoint a("a", 1, with_keys(of_a, {{key_role::node, "b", of_b.shown, {}}}));
  observed_endpoint plain("plain");
  REQUIRE(a.link);
  observed_endpoint keyless("client-1", 1, link_settings{}, peer_role::client);
  REQUIRE(keyless.link->connect(a.link->address()).ok());
  observed_endpoint keyed("b", 1, dialling(of_b, plain.link->address(), of_a.shown));
  REQUIRE(keyed.link->connect(plain.link->address()).ok());
  observed_endpoint mistaken("b", 1, dialling(of_b, a.link->address(), fresh().shown));
  REQUIRE(mistaken.link->connect(a.link->address()).ok());
  CHECK(told(*keyless.link, "wants a key"));
  CHECK(told(*keyed.link, "does not encrypt"));
  CHECK(told(*mistaken.link, "does not hold the key"));
  CHECK(a.events.ups().empty());
  CHECK(plain.events.ups().empty());
  CHECK(keyless.events.ups().empty());
  CHECK(mistaken.events.ups().empty());
}

TEST_CASE("a listed key under another name is refused") {
  const keys::key_pair of_a = fresh(), of_b = fresh(), of_c = fresh();
  observed_endpoint a("a", 1,
                      with_keys(of_a, {{key_role::node, "b", of_b.shown, {}},
                                       {key_role::client, "laptop", of_c.shown, {}}}));
  REQUIRE(a.link);
  observed_endpoint other("c", 1, dialling(of_b, a.link->address(), of_a.shown));
  observed_endpoint client_as_node("b", 1, dialling(of_c, a.link->address(), of_a.shown));
  observed_endpoint client("client-1", 1, dialling(of_c, a.link->address(), of_a.shown),
                           peer_role::client);
  REQUIRE(other.link->connect(a.link->address()).ok());
  REQUIRE(client_as_node.link->connect(a.link->address()).ok());
  REQUIRE(client.link->connect(a.link->address()).ok());
  CHECK(told(*other.link, "listed for b"));
  CHECK(told(*client_as_node.link, "listed for a client"));
  REQUIRE(a.events.wait_up());
  REQUIRE(client.events.wait_up());
  CHECK(a.events.ups().size() == 1);
  CHECK(a.events.ups()[0].who.name == "client-1");
  CHECK(other.events.ups().empty());
  CHECK(client_as_node.events.ups().empty());
}

TEST_CASE("a revoked key loses its session at once, and nobody else theirs") {
  const keys::key_pair of_a = fresh(), of_b = fresh(), of_c = fresh();
  const keys::allowed_key b_entry{key_role::node, "b", of_b.shown, {}},
      c_entry{key_role::node, "c", of_c.shown, {}};
  observed_endpoint a("a", 1, with_keys(of_a, {b_entry, c_entry}));
  REQUIRE(a.link);
  observed_endpoint b("b", 1, dialling(of_b, a.link->address(), of_a.shown));
  observed_endpoint c("c", 1, dialling(of_c, a.link->address(), of_a.shown));
  REQUIRE(b.link->connect(a.link->address()).ok());
  REQUIRE(c.link->connect(a.link->address()).ok());
  REQUIRE(a.events.wait_up(2));
  REQUIRE(b.events.wait_up());
  REQUIRE(c.events.wait_up());
  a.link->allow(list_of({c_entry}));
  REQUIRE(a.events.wait_down());
  REQUIRE(b.events.wait_down());
  CHECK(a.events.downs()[0].who.name == "b");
  CHECK(b.events.reasons()[0].find("not listed") != std::string::npos);
  REQUIRE(told(*b.link, "not listed"));  // its connection stands, and its greetings are refused
  CHECK(b.events.ups().size() == 1);
  CHECK(c.events.downs().empty());
  REQUIRE(c.link->send(envelope_to("a", 1)).ok());
  REQUIRE(a.events.wait_envelopes(1));
  a.link->allow(list_of({b_entry, c_entry}));
  REQUIRE(b.events.wait_up(2));
}

TEST_CASE("with keys a node may listen anywhere; a dial needs the key of its address") {
  const keys::key_pair own = fresh();
  observed_endpoint a("a", 1, with_keys(own, {}, "tcp://0.0.0.0:0"));
  REQUIRE(a.link);
  CHECK(a.link->address().starts_with("tcp://0.0.0.0:"));
  const status unknown = a.link->connect("127.0.0.1:1");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.failure().code == error_code::not_found);
  CHECK(unknown.failure().mend.find("troupe keys allow") != std::string::npos);
  observed_events events;
  link_settings plain;
  plain.listen = "tcp://0.0.0.0:0";
  const auto refused = endpoint::open({"b", 1, peer_role::node}, plain, events);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::permission_denied);
  CHECK(refused.failure().mend.find("troupe keys make") != std::string::npos);
}

TEST_CASE("the door's own test holds with the gatekeeper") {
  const keys::key_pair own = fresh();
  zmq::context_t context{1};
  const auto keeper = gatekeeper::open(context, {own.shown});
  REQUIRE(keeper.ok());
  CHECK(prove_gate(context, own).ok());
  CHECK((*keeper)->alive());
}

// What stands in for a gatekeeper in the next test: it says yes to everybody, under one name.
struct careless_keeper {
  zmq::socket_t requests;
  std::thread thread;

  careless_keeper(zmq::context_t& context, std::string name)
      : requests(context, zmq::socket_type::rep) {
    requests.set(zmq::sockopt::rcvtimeo, 50);
    requests.set(zmq::sockopt::linger, 0);
    requests.bind("inproc://zeromq.zap.01");
    thread = std::thread([this, name = std::move(name)] {
      for (int i = 0; i < 200 && !stop; ++i) {
        std::vector<std::string> parts;
        zmq::message_t part;
        do {
          if (!requests.recv(part)) break;
          parts.push_back(part.to_string());
        } while (part.more());
        if (parts.size() < 2) continue;
        for (const std::string& word :
             {std::string("1.0"), parts[1], std::string("200"), std::string(), name})
          requests.send(zmq::buffer(word), zmq::send_flags::sndmore);
        requests.send(zmq::str_buffer(""), zmq::send_flags::none);
      }
    });
  }
  ~careless_keeper() {
    stop = true;
    thread.join();
  }
  std::atomic<bool> stop{false};
};

TEST_CASE("the door's own test fails where anybody gets in, and where nobody watches") {
  const keys::key_pair own = fresh();
  {
    zmq::context_t context{1};
    const status proof = prove_gate(context, own);  // no gatekeeper at all
    REQUIRE_FALSE(proof.ok());
    CHECK(proof.failure().code == error_code::permission_denied);
  }
  {
    zmq::context_t context{1};
    careless_keeper keeper(context, own.shown.text());
    const status proof = prove_gate(context, own);
    REQUIRE_FALSE(proof.ok());
    CHECK(proof.failure().message.find("nobody knows") != std::string::npos);
  }
}

TEST_CASE("a frame that the gatekeeper did not name has no bearer") {
  zmq::message_t frame(3);
  CHECK(bearer_of(frame).empty());
}

}  // namespace
}  // namespace troupe::link
