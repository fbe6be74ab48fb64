#include "cluster/membership/membership_core.hpp"

#include <doctest/doctest.h>

#include "cluster/node/supervisor.hpp"

using namespace troupe;
using namespace troupe::cluster;
using std::chrono::milliseconds;

namespace {

membership_core core_of() {
  membership_settings settings;
  settings.self = "home";
  settings.incarnation = 5;
  return membership_core(settings);
}

proto::Envelope beat(std::uint64_t incarnation, std::uint64_t sequence,
                     const std::string& model = {}) {
  proto::Envelope message;
  message.mutable_heartbeat()->set_incarnation(incarnation);
  message.mutable_heartbeat()->set_sequence(sequence);
  if (!model.empty()) message.mutable_heartbeat()->add_models()->set_name(model);
  return message;
}

time_point_us at(int ms) {
  return milliseconds(ms);
}

}  // namespace

TEST_CASE("a peer comes with its link, beats at the interval, and is lost when it is silent") {
  membership_core core = core_of();
  CHECK(core.view()->find("home")->up);
  auto effects = core.link_up("away", 1, "tcp://x", at(0));
  CHECK(effects.came_up == std::vector<std::string>{"away"});
  REQUIRE(effects.messages.size() == 1);
  CHECK(effects.messages[0]->heartbeat().incarnation() == 5);
  CHECK(core.tick(at(100)).messages.empty());
  CHECK(core.tick(at(250)).messages.size() == 1);
  core.heard("away", beat(1, 1), at(1'000));
  CHECK(core.tick(at(2'400)).lost.empty());
  effects = core.tick(at(2'600));
  REQUIRE(effects.lost == std::vector<std::string>{"away"});
  CHECK(effects.lost_reasons[0].find("1600 ms") != std::string::npos);
  CHECK(!core.view()->find("away")->up);
  CHECK(core.tick(at(2'700)).lost.empty());
  effects = core.heard("away", beat(1, 2), at(2'800));  // only silent, not gone
  CHECK(effects.came_up == std::vector<std::string>{"away"});
}

TEST_CASE("any envelope is a sign of life; none counts after the link has ended") {
  membership_core core = core_of();
  core.link_up("away", 1, "tcp://x", at(0));
  core.heard("away", proto::Envelope(), at(1'400));
  CHECK(core.tick(at(2'000)).lost.empty());
  auto effects = core.link_down("away", 1, "connection closed", at(2'100));
  CHECK(effects.lost == std::vector<std::string>{"away"});
  CHECK(core.heard("away", beat(1, 7), at(2'200)).came_up.empty());
  CHECK(core.tick(at(2'600)).messages.empty());
}

TEST_CASE("a node that started again is a new one: the old incarnation never returns") {
  membership_core core = core_of();
  core.link_up("away", 3, "tcp://x", at(0));
  core.heard("away", beat(3, 1, "tiny"), at(10));
  REQUIRE(core.view()->find("away")->models.size() == 1);
  auto effects = core.link_up("away", 4, "tcp://x", at(20));
  CHECK(effects.lost == std::vector<std::string>{"away"});
  CHECK(effects.came_up == std::vector<std::string>{"away"});
  CHECK(core.view()->find("away")->incarnation == 4);
  CHECK(core.view()->find("away")->models.empty());
  CHECK(core.link_down("away", 3, "late", at(30)).lost.empty());
  CHECK(core.link_up("away", 3, "tcp://x", at(40)).came_up.empty());
  CHECK(!core.heard("away", beat(3, 9, "old"), at(50)).view_changed);
  CHECK(core.view()->find("away")->models.empty());
}

TEST_CASE("heartbeats carry models and load; old and equal ones change nothing") {
  membership_core core = core_of();
  core.link_up("away", 1, "tcp://x", at(0));
  CHECK(core.heard("away", beat(1, 2, "tiny"), at(10)).view_changed);
  CHECK(!core.heard("away", beat(1, 3, "tiny"), at(20)).view_changed);
  CHECK(!core.heard("away", beat(1, 1, "other"), at(30)).view_changed);
  CHECK(core.view()->find("away")->models[0].name() == "tiny");
  proto::Envelope busy = beat(1, 4, "tiny");
  busy.mutable_heartbeat()->set_sequences_running(2);
  busy.mutable_heartbeat()->set_draining(true);
  CHECK(core.heard("away", busy, at(40)).view_changed);
  CHECK(core.view()->find("away")->load.sequences_running == 2);
  CHECK(core.view()->find("away")->draining);
}

TEST_CASE("what the own node has goes out with its heartbeats") {
  membership_core core = core_of();
  proto::ModelDescription model;
  model.set_name("tiny");
  CHECK(core.own_models({model}).view_changed);
  CHECK(!core.own_models({model}).view_changed);
  CHECK(core.own_load({1, 2, 4, 8.5}).view_changed);
  CHECK(core.own_draining(true).view_changed);
  const auto effects = core.link_up("away", 1, "tcp://x", at(0));
  const proto::Heartbeat& sent = effects.messages[0]->heartbeat();
  CHECK(sent.models(0).name() == "tiny");
  CHECK(sent.sequences_running() == 1);
  CHECK(sent.sequences_waiting() == 2);
  CHECK(sent.sequences_max() == 4);
  CHECK(sent.draining());
}

TEST_CASE("names of KV blocks travel with the beats, sorted and bounded, and go with the node") {
  membership_core core = core_of();
  CHECK(core.own_prefixes({9, 3, 7}).view_changed);
  CHECK(!core.own_prefixes({7, 9, 3}).view_changed);
  const auto effects = core.link_up("away", 1, "tcp://x", at(0));
  CHECK(effects.messages[0]->heartbeat().prefixes_size() == 3);
  CHECK(core.own_prefixes({1}).messages.empty());
  proto::Envelope told = beat(1, 2, "tiny");
  for (int i = 5000; i > 0; --i) told.mutable_heartbeat()->add_prefixes(i);
  CHECK(core.heard("away", told, at(10)).view_changed);
  const std::vector<std::uint64_t>& held = core.view()->find("away")->prefixes;
  CHECK(held.size() == 1024);
  CHECK(std::is_sorted(held.begin(), held.end()));
  core.link_down("away", 1, "gone", at(20));
  CHECK(core.view()->find("away")->prefixes.empty());
}

TEST_CASE("new models and draining are told at once, to peers that are linked") {
  membership_core core = core_of();
  core.link_up("away", 1, "tcp://x", at(0));
  proto::ModelDescription model;
  model.set_name("tiny");
  CHECK(core.own_models({model}).messages.size() == 1);
  CHECK(core.own_models({model}).messages.empty());
  CHECK(core.own_draining(true).messages.size() == 1);
  CHECK(core.own_load({1, 0, 4, 0}).messages.empty());
  core.link_down("away", 1, "gone", at(1));
  CHECK(core.own_models({}).messages.empty());
}

TEST_CASE("messages of strangers change nothing") {
  membership_core core = core_of();
  CHECK(!core.heard("stranger", beat(1, 1, "tiny"), at(0)).view_changed);
  CHECK(core.view()->find("stranger") == nullptr);
  CHECK(core.link_up("home", 9, "tcp://x", at(0)).came_up.empty());
}

TEST_CASE("the restart budget of an actor is its own, and refills as its window passes") {
  restart_budget budget(2, milliseconds(10'000));
  CHECK(budget.allow("a", at(0)));
  CHECK(budget.allow("a", at(1'000)));
  CHECK(!budget.allow("a", at(9'000)));
  CHECK(budget.allow("b", at(9'000)));
  CHECK(budget.allow("a", at(10'500)));
  CHECK(!budget.allow("a", at(10'600)));
}
