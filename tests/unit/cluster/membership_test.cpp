#include "cluster/membership/membership_core.hpp"

#include <algorithm>

#include "cluster/node/supervisor.hpp"
#include "membership_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using std::chrono::milliseconds;

namespace {

std::vector<std::string> names_of(const std::vector<node_loss>& lost) {
  std::vector<std::string> out;
  for (const node_loss& one : lost) out.push_back(one.node);
  return out;
}

using names = std::vector<std::string>;

proto::ModelDescription tiny() {
  proto::ModelDescription model;
  model.set_name("tiny");
  return model;
}

}  // namespace

TEST_CASE(
    "a peer comes with its link, is told our beats at the interval, and is lost when silent") {
  membership_stage s;
  CHECK(s.see("home").up);
  s.link_up("away");
  CHECK(s.came_up == names{"away"});
  REQUIRE(s.sent.size() == 1);
  CHECK(s.sent[0]->heartbeat().incarnation() == 5);
  s.pass(3'000, {"away"});
  CHECK(s.sent.size() >= 12);
  CHECK(s.sent.size() <= 14);
  CHECK(s.lost.empty());
  CHECK(s.suspected.empty());
  s.pass(900);
  CHECK(s.suspected == names{"away"});
  CHECK(s.see("away").up);
  CHECK(s.see("away").suspect);
  CHECK(s.lost.empty());
  s.pass(800);
  REQUIRE(names_of(s.lost) == names{"away"});
  CHECK(s.lost[0].cause == loss_cause::unreachable);
  CHECK(s.lost[0].reason.find("nobody else was there to ask") != std::string::npos);
  CHECK(!s.see("away").up);
  s.pass(500);
  CHECK(s.lost.size() == 1);
  s.came_up.clear();
  s.hear("away", s.beat_of("away"));  // only silent, not gone
  CHECK(s.came_up == names{"away"});
  CHECK(s.see("away").incarnation == 1);
}

TEST_CASE("any envelope is a sign of life, whoever it is for; none counts after the link's end") {
  membership_stage s;
  s.link_up("away");
  s.hear("away", s.beat_of("away"));
  for (int i = 0; i < 20; ++i) {
    s.pass(200);
    s.take(s.core.frame_from("away", s.now - at(10), s.now));
    if (i % 2 == 1) s.hear("away", s.beat_of("away"));  // or it would be deaf
  }
  CHECK(s.suspected.empty());
  s.link_down("away");
  CHECK(names_of(s.lost) == names{"away"});
  s.came_up.clear();
  s.hear("away", s.beat_of("away"));
  s.take(s.core.frame_from("away", s.now, s.now));
  CHECK(s.came_up.empty());
  s.sent.clear();
  s.pass(1'000);
  CHECK(s.sent.empty());
}

TEST_CASE("a node that started again is a new one: the old incarnation never returns") {
  membership_stage s;
  s.link_up("away", 3);
  proto::Envelope beat = s.beat_of("away", 3);
  *beat.mutable_heartbeat()->add_models() = tiny();
  s.hear("away", beat);
  REQUIRE(s.see("away").models.size() == 1);
  s.came_up.clear();
  s.link_up("away", 4);
  REQUIRE(names_of(s.lost) == names{"away"});
  CHECK(s.lost[0].cause == loss_cause::started_again);
  CHECK(s.came_up == names{"away"});
  CHECK(s.see("away").incarnation == 4);
  CHECK(s.see("away").models.empty());
  s.lost.clear(), s.came_up.clear();
  s.link_down("away", 3);
  CHECK(s.lost.empty());
  s.link_up("away", 3);
  CHECK(s.came_up.empty());
  CHECK(s.see("away").incarnation == 4);
  beat.mutable_heartbeat()->set_sequence(99);
  s.hear("away", beat);
  CHECK(s.see("away").models.empty());
}

TEST_CASE("beats carry models and load; old and equal ones change nothing") {
  membership_stage s;
  s.link_up("away");
  proto::Envelope told = s.beat_of("away");
  *told.mutable_heartbeat()->add_models() = tiny();
  CHECK(s.core.heard("away", told, s.now).view_changed);
  told.mutable_heartbeat()->set_sequence(2);
  CHECK(!s.core.heard("away", told, s.now).view_changed);
  proto::Envelope busy = told;
  busy.mutable_heartbeat()->set_sequence(5);
  busy.mutable_heartbeat()->set_view_version(2);
  busy.mutable_heartbeat()->set_sequences_running(2);
  busy.mutable_heartbeat()->set_too_warm(true);
  busy.mutable_heartbeat()->set_draining(true);
  CHECK(s.core.heard("away", busy, s.now).view_changed);
  told.mutable_heartbeat()->set_sequence(4);
  CHECK(!s.core.heard("away", told, s.now).view_changed);
  s.take(s.core.tick(s.now));
  CHECK(s.see("away").load.sequences_running == 2);
  CHECK(s.see("away").load.too_warm);
  CHECK(s.see("away").draining);
}

TEST_CASE("load and names of blocks are shown with the next tick, not with each beat") {
  membership_stage s;
  s.link_up("away");
  proto::Envelope busy = s.beat_of("away");
  busy.mutable_heartbeat()->set_sequences_running(2);
  busy.mutable_heartbeat()->add_prefixes(7);
  CHECK(!s.core.heard("away", busy, s.now).view_changed);
  CHECK(s.core.tick(s.now).view_changed);
  CHECK(s.see("away").load.sequences_running == 2);
  CHECK(s.see("away").prefixes == std::vector<std::uint64_t>{7});
  CHECK(!s.core.tick(s.now).view_changed);
  s.link_down("away");
  CHECK(s.see("away").prefixes.empty());
  CHECK(s.see("away").load == node_load{});
}

TEST_CASE("what the own node has goes out; models and draining at once, to peers that are linked") {
  membership_stage s;
  s.core.own_load({1, 2, 4, 8.5, true});
  s.core.own_prefixes({9, 3, 7, 3});
  s.core.own_address("tcp://home");
  CHECK(s.core.own_models({tiny()}, s.now).view_changed);
  CHECK(!s.core.own_models({tiny()}, s.now).view_changed);
  s.link_up("away");
  REQUIRE(s.sent.size() == 1);
  const proto::Heartbeat sent = s.sent[0]->heartbeat();
  CHECK(sent.view_base() == 0);
  CHECK(sent.models(0).name() == "tiny");
  CHECK(sent.sequences_running() == 1);
  CHECK(sent.sequences_waiting() == 2);
  CHECK(sent.sequences_max() == 4);
  CHECK(sent.too_warm());
  CHECK(sent.address() == "tcp://home");
  CHECK(std::vector(sent.prefixes().begin(), sent.prefixes().end()) ==
        std::vector<std::uint64_t>{3, 7, 9});
  CHECK(s.core.own_models({}, s.now).messages.size() == 1);
  CHECK(s.core.own_models({}, s.now).messages.empty());
  CHECK(s.core.own_draining(true, s.now).messages.size() == 1);
  s.link_down("away");
  CHECK(s.core.own_models({tiny()}, s.now).messages.empty());
}

TEST_CASE("a steady beat is small, whatever the node has") {
  membership_stage s;
  std::vector<std::uint64_t> prefixes;
  for (std::uint64_t i = 0; i < 1024; ++i) prefixes.push_back(i * 0x9e3779b97f4a7c15u);
  s.core.own_prefixes(prefixes);
  s.take(s.core.own_models({tiny(), tiny(), tiny()}, s.now));
  s.core.own_load({3, 1, 4, 17.5});
  s.link_up("away");
  CHECK(s.sent[0]->ByteSizeLong() > 8'192);
  proto::Envelope holds = s.beat_of("away");
  holds.mutable_heartbeat()->set_view_seen(s.sent[0]->heartbeat().view_version());
  s.hear("away", holds);
  s.sent.clear();
  s.pass(1'000, {});
  REQUIRE(!s.sent.empty());
  for (const envelope_ptr& message : s.sent) {
    CHECK(message->heartbeat().view_base() != 0);
    CHECK(message->ByteSizeLong() < 100);
  }
  prefixes[17] = 1;  // one name less, another one more
  s.core.own_prefixes(prefixes);
  s.sent.clear();
  s.pass(300, {});
  REQUIRE(!s.sent.empty());
  CHECK(s.sent[0]->heartbeat().prefixes_size() == 1);
  CHECK(s.sent[0]->heartbeat().prefixes_gone_size() == 1);
  CHECK(s.sent[0]->ByteSizeLong() < 150);
}

TEST_CASE("a suspect is asked about at two others at once; a no from both is a verdict in time") {
  membership_stage s;
  for (const char* node : {"a", "b", "c", "d"}) s.link_up(node);
  s.pass(3'000, {"a", "b", "c", "d"});
  s.sent.clear();
  s.pass(900, {"a", "b", "d"});
  CHECK(s.suspected == names{"c"});
  const auto asked = s.sent_that([](const auto& m) { return m.has_probe_peer(); });
  REQUIRE(asked.size() == 2);
  CHECK(asked[0]->target().node() == "d");  // the next ones in the order of names
  CHECK(asked[1]->target().node() == "a");
  CHECK(asked[0]->probe_peer().node() == "c");
  for (const envelope_ptr& question : asked) {
    proto::Envelope no;
    no.mutable_probe_answer()->set_node("c");
    no.mutable_probe_answer()->set_incarnation(1);
    no.mutable_probe_answer()->set_round(question->probe_peer().round());
    s.hear(question->target().node(), no);
  }
  CHECK(s.lost.empty());  // the silence alone is not long enough yet
  s.pass(700, {"a", "b", "d"});
  REQUIRE(names_of(s.lost) == names{"c"});
  CHECK(s.lost[0].cause == loss_cause::unreachable);
  CHECK(s.lost[0].reason.find("2 asked did not hear it") != std::string::npos);
}

TEST_CASE("only the end of a process is taken for a death; silence may be a pause or a cut") {
  membership_stage s;
  s.link_up("peer");
  s.pass(1'000, {"peer"});
  SUBCASE("its session ends while it speaks") {
    s.link_down("peer");
    REQUIRE(s.lost.size() == 1);
    CHECK(s.lost[0].died());
  }
  SUBCASE("it is there again, as another process") {
    s.link_up("peer", 2);
    REQUIRE(s.lost.size() == 1);
    CHECK(s.lost[0].died());
  }
  SUBCASE("it falls silent") {
    s.pass(5'000);
    REQUIRE(s.lost.size() == 1);
    CHECK_FALSE(s.lost[0].died());
  }
  SUBCASE("its session ends after it fell silent") {
    s.pass(1'100);
    REQUIRE(s.suspected.size() == 1);
    REQUIRE(s.lost.empty());
    s.link_down("peer");
    REQUIRE(s.lost.size() == 1);
    CHECK_FALSE(s.lost[0].died());
  }
}

TEST_CASE("one yes keeps a suspect alive up to down_after; late or strange answers do not") {
  membership_stage s;
  for (const char* node : {"a", "b", "c"}) s.link_up(node);
  s.pass(3'000, {"a", "b", "c"});
  std::size_t rounds = 0;
  const auto answer = [&](bool right) {
    for (const envelope_ptr& one : std::exchange(s.sent, {})) {
      if (!one->has_probe_peer()) continue;
      ++rounds;
      proto::Envelope yes;
      yes.mutable_probe_answer()->set_node("c");
      yes.mutable_probe_answer()->set_round(one->probe_peer().round() + (right ? 0 : 9));
      yes.mutable_probe_answer()->set_heard(true);
      s.hear(one->target().node(), yes);
    }
  };
  SUBCASE("right answers, again and again") {
    for (int i = 0; i < 230; ++i) s.pass(10, {"a", "b"}), answer(true);
    CHECK(s.lost.empty());
    CHECK(s.see("c").suspect);
    CHECK(rounds >= 4);  // two are asked, more than once
    for (int i = 0; i < 40; ++i) s.pass(10, {"a", "b"}), answer(true);
    REQUIRE(names_of(s.lost) == names{"c"});
    CHECK(s.lost[0].cause == loss_cause::silent);
    CHECK(s.lost[0].reason.find("hears it") != std::string::npos);
  }
  SUBCASE("answers to another round") {
    for (int i = 0; i < 170; ++i) s.pass(10, {"a", "b"}), answer(false);
    CHECK(names_of(s.lost) == names{"c"});
    CHECK(rounds == 2);
  }
}

TEST_CASE("who is asked about another one answers when it hears that one, or when time is over") {
  membership_stage s;
  for (const char* node : {"a", "b", "c"}) s.link_up(node);
  s.pass(1'000, {"a", "b", "c"});
  const auto ask = [&](const std::string& about, std::uint64_t incarnation) {
    proto::Envelope question;
    question.mutable_probe_peer()->set_node(about);
    question.mutable_probe_peer()->set_incarnation(incarnation);
    question.mutable_probe_peer()->set_round(3);
    question.mutable_probe_peer()->set_wait_ms(600);
    s.sent.clear();
    s.hear("a", question);
  };
  const auto answers = [&] {
    return s.sent_that([](const auto& m) { return m.has_probe_answer(); });
  };
  ask("c", 1);
  CHECK(answers().empty());
  s.hear("b", s.beat_of("b"));
  CHECK(answers().empty());
  s.hear("c", proto::Envelope());
  CHECK(answers().empty());  // it came when the question did
  s.now += at(10);
  s.hear("c", proto::Envelope());
  REQUIRE(answers().size() == 1);
  CHECK(answers()[0]->probe_answer().heard());
  CHECK(answers()[0]->probe_answer().round() == 3);
  CHECK(answers()[0]->target().node() == "a");

  ask("c", 1);
  s.pass(700, {"a", "b"});
  REQUIRE(answers().size() == 1);
  CHECK(!answers()[0]->probe_answer().heard());
  for (const auto& [about, incarnation] : {std::pair("c", 7u), std::pair("nobody", 1u)}) {
    ask(about, incarnation);
    REQUIRE(answers().size() == 1);
    CHECK(!answers()[0]->probe_answer().heard());
  }
  proto::Envelope stranger;
  stranger.mutable_probe_peer()->set_node("c");
  s.sent.clear();
  s.hear("stranger", stranger);
  CHECK(answers().empty());
}

TEST_CASE("a peer that beats but does not hear us gets no new work, and is lost in the end") {
  membership_stage s;
  s.link_up("away");
  s.pass(2'000, {"away"});
  s.echoes["away"] = 1;
  const auto deaf = [&](int ms) {
    for (int i = 0; i < ms / 10; ++i) {
      s.pass(10);
      if (s.now.count() % 250'000 != 0) continue;
      proto::Envelope beat = s.beat_of("away");
      beat.mutable_heartbeat()->set_echo_sequence(1);
      s.hear("away", beat);
    }
  };
  deaf(1'500);
  CHECK(s.see("away").suspect);
  CHECK(s.lost.empty());
  deaf(2'000);
  REQUIRE(names_of(s.lost) == names{"away"});
  CHECK(s.lost[0].reason.find("has not heard this node") != std::string::npos);
  s.came_up.clear();
  deaf(1'000);
  CHECK(s.came_up.empty());  // what it sends does not bring it back
  s.pass(500, {"away"});
  CHECK(s.came_up == names{"away"});
}

TEST_CASE("while this node did not look, nobody was silent; its own time-outs grow for a while") {
  membership_stage s;
  s.link_up("away");
  s.pass(2'000, {"away"});
  s.now += at(20'000);  // stopped
  s.take(s.core.tick(s.now));
  CHECK(s.lost.empty());
  CHECK(s.suspected.empty());
  CHECK(s.core.health_score() == local_health::score_max);
  s.pass(3'000);
  CHECK(s.lost.empty());
  s.pass(12'000, {"away"});
  CHECK(s.core.health_score() == 0);
  CHECK(s.lost.empty());
}

TEST_CASE("a node that drained and ended has left; it is shown for a while, then forgotten") {
  membership_stage s;
  s.link_up("away");
  proto::Envelope leaving = s.beat_of("away");
  leaving.mutable_heartbeat()->set_view_version(2);
  leaving.mutable_heartbeat()->set_draining(true);
  s.hear("away", leaving);
  s.link_down("away");
  REQUIRE(s.lost.size() == 1);  // whoever waits for it has to know
  CHECK(s.lost[0].cause == loss_cause::left);
  CHECK(s.core.state_of("away") == member_state::left);
  s.pass(59'000);
  CHECK(s.core.view()->find("away"));
  s.pass(2'000);
  CHECK(!s.core.view()->find("away"));
  CHECK(s.lost.size() == 1);
  s.link_up("away", 2);
  CHECK(s.see("away").up);
  CHECK(!s.see("away").draining);
}

TEST_CASE("a node actor that starts again within its process is believed, and believes others") {
  membership_stage peer{settings_of("away")};
  peer.link_up("home", 5);
  for (const std::uint64_t restarts : {0u, 1u, 2u}) {
    membership_settings settings = settings_of();
    settings.restarts = restarts;
    membership_stage s{settings};
    s.core.own_load({static_cast<std::uint32_t>(10 + restarts), 0, 0, 0});
    s.take(s.core.link_up("away", 5, "tcp://away", s.now));
    for (int i = 0; i < 4; ++i) {
      for (const envelope_ptr& one : std::exchange(s.sent, {}))
        if (one->has_heartbeat()) peer.hear("home", *one);
      s.pass(300), peer.pass(300);
      for (const envelope_ptr& one : std::exchange(peer.sent, {}))
        if (one->has_heartbeat()) s.hear("away", *one);
    }
    CHECK(peer.see("home").load.sequences_running == 10 + restarts);
  }
}

TEST_CASE("messages of strangers change nothing, and names are bounded") {
  membership_stage s;
  s.hear("stranger", s.beat_of("stranger"));
  CHECK(!s.core.view()->find("stranger"));
  s.link_up("home", 9);
  CHECK(s.came_up.empty());
  for (int i = 0; i < 400; ++i) s.link_up("peer" + std::to_string(i));
  CHECK(s.core.view()->members.size() == membership_core::members_max);
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
