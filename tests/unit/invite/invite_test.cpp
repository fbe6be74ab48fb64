// Invitations: the code, who joins by it, and the one-time door on real sockets.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "cluster/invite/invite_code.hpp"
#include "cluster/invite/invite_core.hpp"
#include "cluster/link/curve.hpp"

namespace troupe::invite {
namespace {

using namespace std::chrono_literals;
using keys::key_role;

keys::public_key key(char digit) {
  return *keys::public_key::parse(std::string(64, digit));
}

invite_terms terms_for(key_role role = key_role::node) {
  invite_terms out;
  out.role = role;
  out.host = {key_role::node, "host", key('a'), "tcp://*:7411"};
  return out;
}

proto::ClusterJoined read(const std::string& reply) {
  proto::ClusterJoined out;
  REQUIRE(out.ParseFromString(reply));
  return out;
}

TEST_CASE("a code is read as it is written, in either case, with or without dashes") {
  for (int i = 0; i < 50; ++i) {
    const auto code = invite_code::draw();
    REQUIRE(code);
    const std::string text = code->text();
    CHECK(text.size() == 34);  // 28 characters and six dashes
    CHECK(invite_code::parse(text) == *code);
    std::string plain;
    for (const char c : text)
      if (c != '-') plain += static_cast<char>(std::tolower(c));
    CHECK(invite_code::parse(plain) == *code);
  }
  CHECK(invite_code::draw()->text() != invite_code::draw()->text());
}

TEST_CASE("a code that is mistyped or cut is known as such") {
  const std::string text = invite_code::draw()->text();
  int taken = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') continue;
    for (const char c : std::string("0123456789ABCDEFGHJKMNPQRSTVWXYZ")) {
      std::string wrong = text;
      wrong[i] = c;
      if (wrong != text && invite_code::parse(wrong)) ++taken;
    }
    CHECK_FALSE(invite_code::parse(text.substr(0, i)));
  }
  CHECK(taken < 10);  // of 868, one in 1024 goes unnoticed
  CHECK_FALSE(invite_code::parse(text + "0"));
  CHECK_FALSE(invite_code::parse("U" + text.substr(1)));
}

TEST_CASE("both sides make the same keys from a code, and others from another") {
  const auto code = invite_code::draw(), other = invite_code::draw();
  const auto here = code->one_time_keys(),
             there = invite_code::parse(code->text())->one_time_keys();
  REQUIRE(here);
  REQUIRE(there);
  CHECK(here->door.kept == there->door.kept);
  CHECK(here->guest.kept == there->guest.kept);
  CHECK(here->door.kept != here->guest.kept);
  CHECK(here->door.shown != other->one_time_keys()->door.shown);
  CHECK(link::check_key_pair(here->door).ok());
  CHECK(link::check_key_pair(here->guest).ok());
}

TEST_CASE("the first guest joins and gets the others' keys; a second one is refused") {
  invite_core core(terms_for());
  keys::allow_list known;
  REQUIRE(known.add({key_role::node, "b", key('b'), "tcp://b:1"}).ok());
  REQUIRE(known.add({key_role::client, "laptop", key('c'), {}}).ok());
  const keys::allowed_key guest{key_role::node, "guest", key('d'), {}};
  const auto first = core.answer(request_of(guest), known, 1s);
  REQUIRE(first.listed);
  CHECK(*first.listed == guest);
  CHECK(core.used());
  const auto joined = listed_by_guest(first.reply, guest, "10.0.0.7:7412");
  REQUIRE(joined);
  REQUIRE(joined->size() == 3);
  CHECK((*joined)[0] == keys::allowed_key{key_role::node, "host", key('a'), "tcp://10.0.0.7:7411"});
  CHECK((*joined)[1] == known.all()[0]);
  CHECK((*joined)[2] == known.all()[1]);

  const auto second = core.answer(request_of({key_role::node, "other", key('e'), {}}), known, 2s);
  CHECK_FALSE(second.listed);
  CHECK(read(second.reply).refusal().find("used") != std::string::npos);
  const auto again = core.answer(request_of(guest), known, 2s);  // its reply was lost
  CHECK_FALSE(again.listed);
  CHECK(again.reply == first.reply);
  CHECK_FALSE(listed_by_guest(second.reply, guest, "h:1"));
}

TEST_CASE("a client is told of nodes only") {
  invite_core core(terms_for(key_role::client));
  keys::allow_list known;
  REQUIRE(known.add({key_role::node, "b", key('b'), "tcp://b:1"}).ok());
  REQUIRE(known.add({key_role::client, "laptop", key('c'), {}}).ok());
  const keys::allowed_key guest{key_role::client, "phone", key('d'), {}};
  const auto decided = core.answer(request_of(guest), known, 1s);
  REQUIRE(decided.listed);
  CHECK(read(decided.reply).others_size() == 1);
}

TEST_CASE("what cannot be listed is refused, and the invitation stays open") {
  invite_core core(terms_for());
  keys::allow_list known;
  REQUIRE(known.add({key_role::node, "b", key('b'), {}}).ok());
  const keys::allowed_key wrong[] = {
      {key_role::client, "guest", key('d'), {}},   // not what was invited
      {key_role::node, "host", key('d'), {}},      // the host's name
      {key_role::node, "guest", key('a'), {}},     // the host's key
      {key_role::node, "b", key('d'), {}},         // another's name
      {key_role::node, "guest", key('b'), {}},     // another's key
      {key_role::node, "client-1", key('d'), {}},  // a client's form of name
      {key_role::node, "no name", key('d'), {}},
      {key_role::node, "guest", {}, {}},
      {key_role::node, "guest", key('d'), "nowhere"},
  };
  for (const keys::allowed_key& one : wrong) {
    const auto decided = core.answer(request_of(one), known, 1s);
    CHECK_FALSE(decided.listed);
    CHECK_FALSE(read(decided.reply).refusal().empty());
  }
  for (const std::string& garbage :
       {std::string(), std::string("\xff\xff\xff"), std::string(200, 'x')})
    CHECK_FALSE(core.answer(garbage, known, 1s).listed);
  CHECK_FALSE(core.used());
  CHECK_FALSE(core.over(1s, 19));
  CHECK(core.over(1s, 20));
  CHECK(core.over(10min, 0));
  const keys::allowed_key guest{key_role::node, "guest", key('d'), {}};
  CHECK_FALSE(core.answer(request_of(guest), known, 10min).listed);  // too late
  REQUIRE(core.answer(request_of(guest), known, 1s).listed);
  CHECK(core.not_listed("the disk is full").find("full") != std::string::npos);
  CHECK_FALSE(core.used());
  CHECK(core.answer(request_of({key_role::node, "b", key('b'), {}}), known, 1s).listed);  // again
}

// A door that serves until it is told to stop.
struct served_door {
  std::unique_ptr<link::one_time_door> door;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> asked{0};
  std::thread thread;

  served_door(const link::door_keys& keys, std::function<std::string(std::string_view)> answer) {
    auto opened = link::one_time_door::open("tcp://127.0.0.1:0", keys);
    REQUIRE_MESSAGE(opened.ok(), opened.failure().text());
    door = std::move(*opened);
    thread = std::thread([this, answer = std::move(answer)] {
      while (!stop)
        door->serve(50ms, [&](std::string_view request) {
          ++asked;
          return answer(request);
        });
    });
  }
  ~served_door() {
    stop = true;
    thread.join();
  }
};

TEST_CASE("with the code one gets through, with another code not a word") {
  const auto code = invite_code::draw(), other = invite_code::draw();
  served_door served(*code->one_time_keys(),
                     [](std::string_view request) { return "heard " + std::string(request); });
  const auto wrong = link::knock(served.door->address(), *other->one_time_keys(), "let me in", 10s);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.failure().code == error_code::permission_denied);
  // A guest that knows the door's public key only, as one who overheard it might.
  link::door_keys overheard = *code->one_time_keys();
  overheard.guest = *link::make_key_pair();
  const auto outsider = link::knock(served.door->address(), overheard, "let me in", 10s);
  CHECK_FALSE(outsider);
  CHECK(served.asked == 0);
  const auto right = link::knock(served.door->address(), *code->one_time_keys(), "hello", 10s);
  REQUIRE_MESSAGE(right, right.failure().text());
  CHECK(*right == "heard hello");
  CHECK(served.asked == 1);
}

TEST_CASE("wrong codes are counted; whoever stands in for the host is found out") {
  const auto code = invite_code::draw(), other = invite_code::draw();
  served_door served(*code->one_time_keys(), [](std::string_view) { return std::string("x"); });
  for (unsigned i = 1; i <= 3; ++i) {
    CHECK_FALSE(link::knock(served.door->address(), *other->one_time_keys(), "x", 10s));
    for (int wait = 0; wait < 1000 && served.door->wrong_knocks() < i; ++wait)
      std::this_thread::sleep_for(10ms);
    CHECK(served.door->wrong_knocks() >= i);
  }
  CHECK(served.asked == 0);
  // A door with keys of its own cannot answer a guest who has the code.
  link::door_keys forged = *code->one_time_keys();
  forged.door = *link::make_key_pair();
  served_door imposter(forged, [](std::string_view) { return std::string("welcome"); });
  CHECK_FALSE(link::knock(imposter.door->address(), *code->one_time_keys(), "my key", 10s));
  CHECK(imposter.asked == 0);
}

TEST_CASE("of many who try one code at once, exactly one joins") {
  const auto code = invite_code::draw();
  invite_core core(terms_for());
  keys::allow_list known;
  served_door served(*code->one_time_keys(), [&](std::string_view request) {
    auto decided = core.answer(request, known, 1s);
    if (decided.listed) REQUIRE(known.add(*decided.listed).ok());
    return decided.reply;
  });
  std::atomic<int> joined{0}, refused{0};
  std::vector<std::thread> all;
  for (char c = '1'; c <= '6'; ++c)
    all.emplace_back([&, c] {
      const keys::allowed_key guest{key_role::node, std::string("guest") + c, key(c), {}};
      const auto reply =
          link::knock(served.door->address(), *code->one_time_keys(), request_of(guest), 20s);
      if (!reply) return;
      ++(listed_by_guest(*reply, guest, "h:1") ? joined : refused);
    });
  for (std::thread& one : all) one.join();
  CHECK(joined == 1);
  CHECK(refused == 5);
  CHECK(known.all().size() == 1);
}

}  // namespace
}  // namespace troupe::invite
