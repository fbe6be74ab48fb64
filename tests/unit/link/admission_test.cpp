// Names are bound to keys: who may greet as whom, and what becomes of sessions when the list
// changes.
#include <doctest/doctest.h>

#include "cluster/link/link_loop.hpp"

namespace troupe::link {
namespace {

keys::public_key key(char digit) {
  return *keys::public_key::parse(std::string(64, digit));
}

link_security security_of(const std::vector<keys::allowed_key>& allowed) {
  link_security out;
  out.own = {key('1'), *keys::secret_key::parse(std::string(64, '2'))};
  for (const keys::allowed_key& one : allowed) REQUIRE(out.allowed.add(one).ok());
  return out;
}

const std::vector<keys::allowed_key> everybody = {
    {keys::key_role::node, "b", key('b'), {}},
    {keys::key_role::client, "laptop", key('c'), {}},
    {keys::key_role::client, "desk", key('d'), {}},
};

// A peering core under test, greeted by hand.
struct stage {
  link_security security;
  peering_core core;
  peering_core::effects out;
  std::uint64_t drawn = 100;

  explicit stage(link_security with)
      : security(std::move(with)),
        core({"a", 1, peer_role::node}, {}, [this] { return ++drawn; }) {}

  credential holder(const keys::public_key& of, bool dialled = false) const {
    return credential_of(security, of, dialled);
  }
  static proto::LinkHello hello_of(const std::string& name, bool client, std::uint64_t session) {
    proto::LinkHello hello;
    hello.set_protocol_version(protocol_version);
    hello.set_name(name);
    hello.set_incarnation(1);
    hello.set_role(client ? proto::LinkHello::CLIENT : proto::LinkHello::NODE);
    hello.set_session(session);
    hello.set_silence_ms(3000);
    hello.set_credit_bytes(1 << 20);
    hello.set_credit_messages(100);
    return hello;
  }
  static constexpr channel_id channel = channel_id{1} << 32;

  // What a hello is answered with: the session's number, or the refusal.
  std::pair<std::uint64_t, proto::LinkRefusal> greet(const keys::public_key& by,
                                                     const std::string& name, bool client,
                                                     std::uint64_t session = 7,
                                                     channel_id from = channel) {
    out.clear();
    frame_header header;
    header.kind = frame_kind::hello;
    const std::string body = hello_of(name, client, session).SerializeAsString();
    REQUIRE(core.control(from, holder(by), header, bytes(body), 1, out));
    for (const peering_effect& effect : out) {
      if (effect.kind != peering_effect::what::send_control) continue;
      if (effect.control == frame_kind::welcome) {
        proto::LinkWelcome welcome;
        REQUIRE(welcome.ParseFromString(effect.body));
        return {welcome.hello().session(), {}};
      }
      proto::LinkRefusal refusal;
      REQUIRE(effect.control == frame_kind::refusal);
      REQUIRE(refusal.ParseFromString(effect.body));
      return {0, refusal};
    }
    FAIL("the hello was not answered");
    return {};
  }
  std::uint64_t join(const keys::public_key& by, const std::string& name, bool client,
                     std::uint64_t session = 7, channel_id from = channel) {
    const auto [number, refusal] = greet(by, name, client, session, from);
    REQUIRE_MESSAGE(number != 0, refusal.message());
    REQUIRE(core.admit(from, holder(by), number, 2, out));
    return number;
  }
  static std::span<const std::uint8_t> bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  bool ended(std::uint64_t session) const {
    for (const peering_effect& effect : out)
      if (effect.kind == peering_effect::what::end_session && effect.session == session)
        return true;
    return false;
  }
};

TEST_CASE("who may greet as whom") {
  const link_security security = security_of(everybody);
  struct row {
    char digit;
    const char* name;
    bool client, may;
  };
  const row rows[] = {
      {'b', "b", false, true},         {'b', "c", false, false},     {'b', "client-1", true, true},
      {'b', "client-1", false, false}, {'b', "b", true, false},      {'c', "laptop", false, false},
      {'c', "client-1", true, true},   {'c', "laptop", true, false}, {'c', "b", false, false},
      {'1', "a", false, false},        {'1', "b", false, false},     {'1', "client-1", true, true},
      {'e', "b", false, false},        {'e', "e", false, false},     {'e', "client-1", true, false},
  };
  for (const row& one : rows) {
    CAPTURE(one.digit);
    CAPTURE(one.name);
    CAPTURE(one.client);
    CHECK(objection(credential_of(security, key(one.digit), false), one.name, one.client).empty() ==
          one.may);
  }
  CHECK_FALSE(objection(credential_of(security, {}, false), "b", false).empty());
  CHECK(objection(credential_of({}, {}, false), "b", false).empty());  // a link without keys
}

TEST_CASE("the key of an address stands for any node name, when we dialled it") {
  link_security security = security_of(everybody);
  security.servers["tcp://h:1"] = key('f');
  CHECK(objection(credential_of(security, key('f'), true), "anything", false).empty());
  CHECK_FALSE(objection(credential_of(security, key('f'), false), "anything", false).empty());
  CHECK(security.server_at("tcp://h:1") == key('f'));
  CHECK(security.server_at("tcp://h:2").empty());
}

TEST_CASE("a hello under a name that its key is not listed for is refused and opens nothing") {
  stage s(security_of(everybody));
  const auto refused = [&](char digit, const char* name, bool client) {
    const auto [number, refusal] = s.greet(key(digit), name, client);
    CHECK(number == 0);
    CHECK(refusal.reason() == proto::LinkRefusal::WRONG_KEY);
    CHECK(s.out.size() == 1);
  };
  refused('b', "c", false);
  refused('c', "b", false);
  refused('e', "b", false);
  const auto [nobody, refusal] = s.greet({}, "b", false);  // the gatekeeper did not see it
  CHECK(nobody == 0);
  CHECK(refusal.reason() == proto::LinkRefusal::WRONG_KEY);
  CHECK(s.join(key('b'), "b", false) != 0);
}

TEST_CASE("a session belongs to the key that it was greeted with") {
  stage s(security_of(everybody));
  const channel_id other = stage::channel + 1;
  const std::uint64_t session = s.join(key('c'), "client-1", true);
  // Another client's key: neither the name, nor its frames, nor its goodbye.
  const auto [number, refusal] = s.greet(key('d'), "client-1", true, 9, other);
  CHECK(number == 0);
  CHECK(refusal.reason() == proto::LinkRefusal::WRONG_KEY);
  s.out.clear();
  CHECK_FALSE(s.core.admit(other, s.holder(key('d')), session, 3, s.out));
  frame_header goodbye;
  goodbye.kind = frame_kind::goodbye;
  goodbye.session = session;
  CHECK(s.core.control(other, s.holder(key('d')), goodbye, {}, 3, s.out));
  CHECK_FALSE(s.ended(session));
  // The same key on another connection is the same peer.
  CHECK(s.core.admit(other, s.holder(key('c')), session, 3, s.out));
  CHECK(s.core.control(other, s.holder(key('c')), goodbye, {}, 3, s.out));
  CHECK(s.ended(session));
}

TEST_CASE("a list without a key ends that key's sessions, and no others") {
  stage s(security_of(everybody));
  const std::uint64_t of_b = s.join(key('b'), "b", false, 7, stage::channel);
  const std::uint64_t of_c = s.join(key('c'), "client-1", true, 8, stage::channel + 1);
  s.security = security_of({everybody[1]});
  s.out.clear();
  s.core.review([&](const keys::public_key& of, bool dialled) { return s.holder(of, dialled); }, 5,
                s.out);
  CHECK(s.ended(of_b));
  CHECK_FALSE(s.ended(of_c));
  REQUIRE(s.out.size() == 2);
  CHECK(s.out[0].control == frame_kind::goodbye);  // the peer is told
  CHECK(s.out[0].session == 7);
  CHECK(s.greet(key('b'), "b", false).second.reason() == proto::LinkRefusal::WRONG_KEY);
  // Listed under another name: its session under the old one ends, too.
  s.security = security_of({everybody[1], {keys::key_role::node, "c", key('b'), {}}});
  CHECK(s.greet(key('b'), "b", false).second.reason() == proto::LinkRefusal::WRONG_KEY);
  CHECK(s.join(key('b'), "c", false, 11) != 0);
}

TEST_CASE("a dial that another name answers is parked, and says why") {
  stage s(security_of(everybody));
  s.core.add_dial(1);
  s.core.dial_connected(1, 1, s.out);
  REQUIRE(s.out.size() == 1);
  proto::LinkHello sent;
  REQUIRE(sent.ParseFromString(s.out[0].body));
  const auto answer = [&](const std::string& name) {
    s.out.clear();
    proto::LinkWelcome welcome;
    *welcome.mutable_hello() = stage::hello_of(name, false, 9);
    welcome.set_answers(sent.session());
    frame_header header;
    header.kind = frame_kind::welcome;
    const std::string body = welcome.SerializeAsString();
    REQUIRE(s.core.control(1, s.holder(key('b'), true), header, stage::bytes(body), 2, s.out));
    return s.out;
  };
  const auto refused = answer("c");
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].kind == peering_effect::what::dial_refused);
  CHECK(refused[0].reason.find("listed for b") != std::string::npos);
  s.core.tick(10'000'000, s.out);  // it greets again
  REQUIRE(s.out.back().control == frame_kind::hello);
  REQUIRE(sent.ParseFromString(s.out.back().body));
  const auto joined = answer("b");
  REQUIRE(joined.size() == 2);
  CHECK(joined[0].kind == peering_effect::what::open_session);
  CHECK(joined[1].kind == peering_effect::what::session_up);
}

// Sockets whose gatekeeper can go.
class guarded_sockets final : public socket_set {
 public:
  bool* guard;
  bool* closed;
  std::string none;
  guarded_sockets(bool* g, bool* c) : guard(g), closed(c) {}
  const std::string& address() const override { return none; }
  result<channel_id> dial(const std::string&) override { return channel_id{1}; }
  void undial(channel_id) override {}
  std::string address_of(channel_id) const override { return none; }
  sent send(channel_id, zmq::message_t&) override { return sent::yes; }
  std::size_t receive(std::size_t, const std::function<void(channel_id, zmq::message_t&)>&,
                      const std::function<void()>&) override {
    return 0;
  }
  void changes(const std::function<void(channel_id, bool)>&) override {}
  bool incoming_broke() override { return false; }
  bool pending() override { return false; }
  void woken(std::span<const std::uint64_t>) override {}
  bool guarded() const override { return *guard; }
  void shut() override { *closed = true; }
};

TEST_CASE("a link whose gatekeeper is gone closes every socket, for good") {
  bool guard = true, closed = false;
  outbox out(1 << 20, 1 << 16);
  link_loop loop({"a", 1, peer_role::node}, {}, std::make_unique<guarded_sockets>(&guard, &closed),
                 out, [] { return 5u; });
  loop.turn(1);
  CHECK(loop.connect("127.0.0.1:1").ok());
  CHECK_FALSE(loop.shut());
  guard = false;
  loop.turn(2);
  CHECK(loop.shut());
  CHECK(closed);
  CHECK(loop.connect("127.0.0.1:2").failure().code == error_code::unavailable);
  guard = true;
  loop.turn(3);
  CHECK(loop.shut());
}

}  // namespace
}  // namespace troupe::link
