#include "cluster/chaos/chaos_core.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::cluster;
using std::chrono::milliseconds;

namespace {

member one(const std::string& name, bool up = true, std::uint32_t sequences = 4) {
  member out;
  out.name = name;
  out.self = name == "home";
  out.up = up;
  out.load.sequences_max = sequences;
  return out;
}

cluster_view view_of(std::vector<member> members) {
  return {"home", std::move(members)};
}

const cluster_view four = view_of({one("away"), one("far"), one("gate", true, 0), one("home")});

proto::Envelope wish(proto::BeginFault::Kind kind, std::uint32_t lasts_ms = 1'000) {
  proto::Envelope message;
  message.mutable_sender()->set_node("client-1");
  message.mutable_target()->set_node("home");
  message.mutable_target()->set_actor("node");
  message.set_correlation(7);
  message.mutable_begin_fault()->set_kind(kind);
  message.mutable_begin_fault()->set_lasts_ms(lasts_ms);
  return message;
}

std::string refusal_of(const chaos_effects& effects) {
  REQUIRE(effects.messages.size() == 1);
  CHECK(effects.messages[0]->correlation() == 7);
  if (!effects.messages[0]->has_error()) return {};
  REQUIRE(effects.records.size() == 1);
  CHECK(effects.records[0].what == "refused");
  CHECK(effects.records[0].asked_by == "client-1");
  CHECK(effects.records[0].reason == effects.messages[0]->error().message());
  CHECK(!effects.granted);
  return effects.messages[0]->error().message();
}

const chaos_settings allowed{"home", true, true};

}  // namespace

TEST_CASE("a node that does not allow chaos refuses every fault by its name, and goes on") {
  for (const bool supervised : {false, true}) {
    chaos_core core({"home", false, supervised});
    for (int kind = proto::BeginFault::Kind_MIN; kind <= proto::BeginFault::Kind_MAX + 1; ++kind) {
      const auto effects =
          core.receive(wish(static_cast<proto::BeginFault::Kind>(kind)), four, milliseconds(0));
      CHECK(refusal_of(effects) == "node home does not allow chaos");
      CHECK(effects.messages[0]->error().code() == proto::Error::PERMISSION_DENIED);
      const auto later = core.tick(milliseconds(10'000));
      CHECK_FALSE(later.crash);
      CHECK_FALSE(later.restart);
    }
  }
}

TEST_CASE("a fault is granted for its time and ends by itself; every word of it is told") {
  chaos_core core(allowed);
  auto effects = core.receive(wish(proto::BeginFault::PAUSE, 2'000), four, milliseconds(500));
  CHECK(refusal_of(effects).empty());
  CHECK(effects.messages[0]->fault_begun().lasts_ms() == 2'000);
  REQUIRE(effects.granted);
  CHECK(effects.granted->begins == milliseconds(500) + fault_notice);
  CHECK(effects.granted->ends == milliseconds(2'500) + fault_notice);
  REQUIRE(effects.records.size() == 1);
  CHECK(effects.records[0].what == "begun");
  CHECK(effects.records[0].fault == "pause");

  effects = core.receive(wish(proto::BeginFault::SLOW), four, milliseconds(1'000));
  CHECK(refusal_of(effects) == "a delay of 0 ms");
  auto other = wish(proto::BeginFault::PARTITION);
  CHECK(refusal_of(core.receive(other, four, milliseconds(1'000))) ==
        "node home has a pause for 1600 ms more");

  CHECK(core.tick(milliseconds(2'599)).records.empty());
  effects = core.tick(milliseconds(2'600));
  CHECK(effects.lifted);
  REQUIRE(effects.records.size() == 1);
  CHECK(effects.records[0].what == "ended");
  CHECK(effects.records[0].asked_by == "client-1");
  effects = core.receive(other, four, milliseconds(2'601));
  REQUIRE(effects.granted);  // without names: everybody
  CHECK(effects.granted->peers == std::vector<std::string>{"away", "far", "gate"});
}

TEST_CASE("a fault lasts a minute at most, and can be ended before") {
  chaos_core core(allowed);
  CHECK(refusal_of(core.receive(wish(proto::BeginFault::PAUSE, 60'001), four, milliseconds(0))) ==
        "a fault of 60001 ms");
  CHECK(refusal_of(core.receive(wish(proto::BeginFault::PAUSE, 0), four, milliseconds(0))) ==
        "a fault of 0 ms");
  CHECK(core.receive(wish(proto::BeginFault::PAUSE, 60'000), four, milliseconds(0)).granted);
  proto::Envelope end = wish(proto::BeginFault::PAUSE);
  end.mutable_end_fault();
  auto effects = core.receive(end, four, milliseconds(4'000));
  CHECK(effects.lifted);
  CHECK(effects.messages.at(0)->fault_ended().ended());
  effects = core.receive(end, four, milliseconds(4'001));
  CHECK_FALSE(effects.lifted);
  CHECK_FALSE(effects.messages.at(0)->fault_ended().ended());
}

TEST_CASE("the last one that computes stays, and so does half of the cluster") {
  chaos_core core(allowed);
  const auto asked = [&](std::vector<member> members) {
    return refusal_of(
        core.receive(wish(proto::BeginFault::PAUSE), view_of(std::move(members)), milliseconds(0)));
  };
  CHECK(asked({one("home")}) == "node home is the last one that computes");
  CHECK(asked({one("away", false), one("home")}) == "node home is the last one that computes");
  CHECK(asked({one("away", true, 0), one("home")}) == "node home is the last one that computes");
  member leaves = one("away");
  leaves.draining = true;
  CHECK(asked({leaves, one("home")}) == "node home is the last one that computes");
  CHECK(asked({one("home", true, 0)}) == "with node home 1 of 1 nodes would be out");
  CHECK(asked({one("away"), one("far", false), one("home")}) ==
        "with node home 2 of 3 nodes would be out");
  CHECK(asked({one("away"), one("far", false), one("gate", false, 0), one("home")}) ==
        "with node home 3 of 4 nodes would be out");
  auto slow = wish(proto::BeginFault::SLOW);  // takes nobody out
  slow.mutable_begin_fault()->set_delay_ms(20);
  CHECK(core.receive(slow, view_of({one("home")}), milliseconds(0)).granted);
  chaos_core other(allowed);
  CHECK(other
            .receive(wish(proto::BeginFault::PAUSE), view_of({one("away"), one("home")}),
                     milliseconds(0))
            .granted);
}

TEST_CASE("a process ends only where something starts it again, after the reply is out") {
  chaos_core bare({"home", true, false});
  CHECK(refusal_of(bare.receive(wish(proto::BeginFault::CRASH, 0), four, milliseconds(0))) ==
        "node home is not supervised: it would stay down");
  for (const auto kind : {proto::BeginFault::CRASH, proto::BeginFault::RESTART}) {
    chaos_core core(allowed);
    auto effects = core.receive(wish(kind, 0), four, milliseconds(0));
    CHECK(effects.messages.at(0)->has_fault_begun());
    CHECK_FALSE(effects.granted);  // nothing for the link
    effects = core.tick(milliseconds(50));
    CHECK_FALSE((effects.crash || effects.restart));
    effects = core.tick(fault_notice);
    CHECK(effects.crash == (kind == proto::BeginFault::CRASH));
    CHECK(effects.restart == (kind == proto::BeginFault::RESTART));
    if (effects.restart) CHECK_FALSE(core.tick(milliseconds(200)).restart);  // once
  }
}

TEST_CASE("peers of a partition are nodes that it knows; what is running is told") {
  chaos_core core(allowed);
  auto named = wish(proto::BeginFault::PARTITION);
  named.mutable_begin_fault()->add_peers("nobody");
  CHECK(refusal_of(core.receive(named, four, milliseconds(0))) == "node home has no peer nobody");
  named.mutable_begin_fault()->set_peers(0, "home");
  CHECK(refusal_of(core.receive(named, four, milliseconds(0))) == "node home has no peer home");
  named.mutable_begin_fault()->set_peers(0, "far");
  const auto effects = core.receive(named, four, milliseconds(0));
  REQUIRE(effects.granted);
  CHECK(effects.granted->peers == std::vector<std::string>{"far"});
  proto::Envelope ask = wish(proto::BeginFault::PAUSE);
  ask.mutable_read_chaos();
  const auto told = core.receive(ask, four, milliseconds(600));
  const proto::ChaosStatus& status = told.messages.at(0)->chaos_status();
  CHECK(status.enabled());
  CHECK(status.supervised());
  CHECK(status.computes());
  CHECK(status.running() == proto::BeginFault::PARTITION);
  CHECK(status.left_ms() == 500);
}
