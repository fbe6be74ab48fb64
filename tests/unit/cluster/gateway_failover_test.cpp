// Workers that die, lie, stall or repeat themselves: the client's stream stays one stream.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<member> two_nodes() {
  return {node_with("away", proto::READY), node_with("home", proto::READY, true)};
}

// The next attempt: where it goes and what it is told. Loads the model there where it is asked to.
std::pair<std::string, proto::StartSequence> next_attempt(gateway_stage& stage) {
  stage.model_loaded();
  const auto start = stage.next(E::kStartSequence);
  if (!start) return {};
  return {start->target().node(), start->start_sequence()};
}

proto::Envelope failed(const proto::StartSequence& start, proto::Error::Code code) {
  proto::Envelope message;
  message.mutable_sequence_failed()->set_job_id(start.job_id());
  *message.mutable_sequence_failed()->mutable_fence() = start.fence();
  message.mutable_sequence_failed()->mutable_error()->set_code(code);
  return message;
}

}  // namespace

TEST_CASE("a lost worker: the next attempt elsewhere is forced along what was delivered") {
  gateway_stage stage(two_nodes());
  const auto first = stage.started(job_with('j'));
  stage.tokens("home", frame_of(first, 0, 3));
  CHECK(stage.delivered().size() == 3);
  SUBCASE("its node is down") {
    auto members = two_nodes();
    members[1].up = false;
    stage.show(members);
    stage.take(stage.core.node_lost("home", stage.now));
  }
  SUBCASE("its actor was started again") {
    stage.take(stage.core.actor_restarted("home", "inference", stage.now));
  }
  SUBCASE("it says so itself") {
    stage.say("home", "inference", failed(first, proto::Error::UNAVAILABLE));
  }
  SUBCASE("the message to it came back") {
    gateway_stage other(two_nodes());
    other.submit(job_with('j'));
    other.prompt_prepared();
    other.answer_missing();
    const auto start = other.next(E::kStartSequence);
    other.answer(start, *refuse(*start, proto::Error::UNAVAILABLE, "no way"));
    CHECK(next_attempt(other).first == "away");
    stage.take(stage.core.node_lost("home", stage.now));
  }
  const auto [node, second] = next_attempt(stage);
  CHECK(node == "away");
  CHECK(second.fence().attempt() == 2);
  REQUIRE(second.forced_ids_size() == 3);
  CHECK(second.forced_ids(2) == token_at(2));
  CHECK(second.credit_tokens() == 5);
  stage.tokens("home", frame_of(first, 3, 1));  // the old attempt still speaks
  CHECK(stage.delivered().empty());
  CHECK(stage.core.counters().frames_fenced == 1);
  stage.tokens("away", frame_of(second, 3, 5));
  stage.finished("away", end_of(second, 8));
  CHECK(stage.delivered(3).size() == 5);
  CHECK(stage.contiguous);
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().provenance().attempts() == 2);
  CHECK(end->job_finished().provenance().worker_node() == "away");
  CHECK(!end->job_finished().provenance().class_changed());
}

TEST_CASE("a job that has to cross numerics classes goes on, says so, and is not cached") {
  auto members = two_nodes();
  for (member& m : members)
    if (m.name == "away") m.models[0].set_numerics_class("cpu-1-kvq8");
  gateway_stage stage(members);
  const auto first = stage.started(job_with('j'));
  stage.tokens("home", frame_of(first, 0, 3));
  stage.take(stage.core.node_lost("home", stage.now));
  members.erase(std::remove_if(members.begin(), members.end(),
                               [](const member& m) { return m.name == "home"; }),
                members.end());
  stage.show(members);
  stage.model_loaded("cpu-1-kvq8");
  const auto second = stage.next(E::kStartSequence);
  REQUIRE(second);
  CHECK(second->target().node() == "away");
  CHECK(second->start_sequence().forced_ids_size() == 3);
  stage.tokens("away", frame_of(second->start_sequence(), 3, 5));
  proto::SequenceFinished end = end_of(second->start_sequence(), 8);
  end.set_numerics_class("cpu-1-kvq8");
  stage.finished("away", end);
  const auto told = stage.next(E::kJobFinished);
  REQUIRE(told);
  CHECK(told->job_finished().provenance().class_changed());
  CHECK(told->job_finished().provenance().numerics_class() == "cpu-1-kvq8");
  CHECK(stage.count(E::kStoreAnswer) == 0);
}

TEST_CASE("attempts are bounded, and the last reason is told") {
  gateway_stage stage(two_nodes());
  proto::StartSequence start = stage.started(job_with('j'));
  std::string node = "home";
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(start.fence().attempt() == static_cast<std::uint32_t>(attempt));
    stage.say(node, "inference", failed(start, proto::Error::INTERNAL));
    std::tie(node, start) = next_attempt(stage);
  }
  CHECK(node.empty());
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().reason() == proto::FAILED);
  CHECK(end->job_finished().error().message().find("3 attempts failed") != std::string::npos);
  CHECK(stage.core.counters().running == 0);
}

namespace {

// Jobs, and the workers that they are lost with.
struct mortuary {
  gateway_stage stage{three()};

  static std::vector<member> three() {
    auto members = two_nodes();
    members.insert(members.begin(), node_with("apart", proto::READY));
    return members;
  }
  // Every open attempt, by job.
  std::map<std::string, std::pair<std::string, proto::StartSequence>> running;
  void look() {
    while (stage.count(E::kLoadModel) > 0) stage.model_loaded();
    while (const auto sent = stage.next(E::kStartSequence))
      running[sent->start_sequence().job_id()] = {sent->target().node(), sent->start_sequence()};
  }
  void loses(const std::string node, bool died) {
    std::erase_if(running, [&](const auto& entry) { return entry.second.first == node; });
    stage.take(stage.core.node_lost(node, stage.now, died));
    stage.wait(milliseconds(100));
    look();
  }
  void dies(const std::string& job) {
    REQUIRE(running.contains(job));
    loses(running.at(job).first, true);
  }
  void ends(const std::string& job) {
    const auto [node, start] = running.at(job);
    running.erase(job);
    const std::uint32_t held = static_cast<std::uint32_t>(start.forced_ids_size());
    stage.tokens(node, frame_of(start, held, 8 - held));
    stage.finished(node, end_of(start, 8));
    stage.wait(milliseconds(100));
    look();
  }
};

}  // namespace

TEST_CASE("a job whose worker died three times while it ran there is set aside") {
  mortuary place;
  gateway_stage& stage = place.stage;
  stage.started(job_with('j'));
  stage.take(stage.core.actor_restarted("home", "inference", stage.now));
  place.look();
  const std::string job(16, 'j');
  REQUIRE(place.running.contains(job));
  const std::string second = place.running.at(job).first;
  place.dies(job);
  SUBCASE("the nodes are named") {
    const std::string third = place.running.at(job).first;
    place.dies(job);
    CHECK(place.running.empty());
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().reason() == proto::FAILED);
    CHECK(end->job_finished().error().code() == proto::Error::INTERNAL);
    CHECK(end->job_finished().error().message().find("poison") == 0);
    CHECK(end->job_finished().error().message().find("home, then " + second + ", then " + third) !=
          std::string::npos);
  }
  SUBCASE("a job that gets further each time is not why") {
    for (std::uint32_t tokens = 1; tokens < 8; ++tokens) {
      REQUIRE(place.running.contains(job));
      const auto [node, start] = place.running.at(job);
      stage.tokens(node, frame_of(start, tokens - 1, 1));
      place.dies(job);
      if (tokens % 3 == 0) place.dies(job);  // once in a while before it gets anywhere
    }
    place.ends(job);
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().reason() == proto::LENGTH);
  }
  SUBCASE("a node that drained went on purpose") {
    auto members = place.three();
    const std::string third = place.running.at(job).first;
    for (member& m : members)
      if (m.name == third) m.draining = true;
    stage.show(members);
    place.dies(job);
    CHECK(place.running.contains(job));
    CHECK(stage.count(E::kJobFinished) == 0);
  }
  SUBCASE("a worker that says that it failed is alive") {
    const auto [node, start] = place.running.at(job);
    stage.say(node, "inference", failed(start, proto::Error::UNAVAILABLE));
    place.look();
    CHECK(place.running.at(job).second.fence().attempt() > start.fence().attempt());
    CHECK(stage.count(E::kJobFinished) == 0);
  }
  SUBCASE("one that fell silent was stopped or cut off, and says nothing of its jobs") {
    for (int i = 0; i < 20; ++i) {
      REQUIRE(place.running.contains(job));
      place.loses(place.running.at(job).first, false);
    }
    CHECK(stage.count(E::kJobFinished) == 0);
    place.ends(job);
    CHECK(stage.count(E::kJobFinished) == 1);
    CHECK(stage.delivered().size() == 8);
  }
}

TEST_CASE("jobs that ran beside a poison job are not set aside with it") {
  mortuary place;
  gateway_stage& stage = place.stage;
  const std::string poison(16, 'p'), beside(16, 'b'), fresh(16, 'f');
  // Both at one node, twice.
  auto members = place.three();
  std::erase_if(members, [](const member& m) { return m.name != "home"; });
  stage.show(members);
  for (const char letter : {'b', 'p'}) {
    const auto start = stage.started(job_with(letter, 8, letter == 'b' ? 4 : 0));
    place.running[start.job_id()] = {"home", start};
  }
  place.dies(poison);
  REQUIRE(place.running.size() == 2);
  place.dies(poison);
  REQUIRE(place.running.size() == 1);  // suspects run one at a time
  SUBCASE("the innocent one ends, then the other runs alone") {
    REQUIRE(place.running.contains(beside));
    const auto other = stage.started(job_with('f'));  // nobody suspects it
    CHECK(other.job_id() == fresh);
    place.ends(beside);
    REQUIRE(place.running.contains(poison));
    place.dies(poison);  // in company, which proves nothing
    REQUIRE(place.running.contains(fresh));
    REQUIRE(place.running.contains(poison));
    place.ends(fresh);
    place.dies(poison);
    CHECK(place.running.empty());
    int failures = 0;
    while (const auto end = stage.next(E::kJobFinished)) {
      const bool failed = end->job_finished().reason() == proto::FAILED;
      CHECK(failed == (end->job_finished().job_id() == poison));
      failures += failed;
    }
    CHECK(failures == 1);
  }
  SUBCASE("in the end its company saves it no more") {
    place.ends(beside);
    for (int deaths = 2; deaths < 8; ++deaths) {
      REQUIRE(place.running.contains(poison));
      const auto other = stage.started(job_with(static_cast<char>('0' + deaths)));
      place.running[other.job_id()] = {"home", other};
      place.dies(poison);
      place.ends(other.job_id());
    }
    CHECK(place.running.empty());
    int failures = 0;
    while (const auto end = stage.next(E::kJobFinished))
      failures += end->job_finished().error().message().find("poison: 8 workers died") == 0;
    CHECK(failures == 1);
  }
  SUBCASE("other jobs go elsewhere, where they can") {
    stage.show({node_with("away", proto::READY), node_with("home", proto::READY, true)});
    const std::string suspect = place.running.at(beside).first;
    for (const char letter : {'1', '2', '3'}) {
      stage.started(job_with(letter));
      stage.submit(job_with(static_cast<char>(letter + 4)));
      stage.prompt_prepared();
      stage.answer_missing();
      const auto start = stage.next(E::kStartSequence);
      REQUIRE(start);
      CHECK(start->target().node() != suspect);
    }
  }
  SUBCASE("one that gets a token further is none any more, and the next may run") {
    const auto [node, start] = place.running.at(beside);
    stage.tokens(node, frame_of(start, 0, 1));
    stage.wait(milliseconds(100));
    place.look();
    CHECK(place.running.contains(poison));
  }
  SUBCASE("one that waits for its client's credit computes nothing, and holds nobody up") {
    const auto [node, start] = place.running.at(beside);
    const auto limit = static_cast<std::uint32_t>(start.forced_ids_size()) + start.credit_tokens();
    REQUIRE(limit < 8);
    stage.tokens(node, frame_of(start, 0, limit));
    stage.wait(milliseconds(100));
    place.look();
    CHECK(place.running.contains(poison));
  }
  SUBCASE("nobody waits for it in vain: its own worker wait does not run meanwhile") {
    stage.wait(milliseconds(20'000));
    CHECK(stage.count(E::kJobFinished) == 0);
    CHECK(stage.core.counters().running == 2);
  }
}

TEST_CASE("a job that is wrong in itself is not tried again") {
  gateway_stage stage(two_nodes());
  const auto start = stage.started(job_with('j'));
  stage.say("home", "inference", failed(start, proto::Error::INVALID_ARGUMENT));
  CHECK(stage.count(E::kStartSequence) == 0);
  CHECK(stage.count(E::kJobFinished) == 1);
}

TEST_CASE("no node left: the job waits for one, within a bound") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 2));
  auto members = std::vector{node_with("home", proto::READY, true)};
  members[0].load.sequences_max = 0;
  stage.show(members);
  stage.take(stage.core.actor_restarted("home", "inference", stage.now));
  CHECK(stage.count(E::kLoadModel) == 0);
  SUBCASE("one comes") {
    stage.show({node_with("away", proto::READY), members[0]});
    const auto [node, second] = next_attempt(stage);
    CHECK(node == "away");
    CHECK(second.forced_ids_size() == 2);
  }
  SUBCASE("none comes") {
    stage.wait(milliseconds(59'000));  // its worker is likely to be back
    CHECK(stage.count(E::kJobFinished) == 0);
    stage.wait(milliseconds(2'000));
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().error().code() == proto::Error::UNAVAILABLE);
  }
}

TEST_CASE("frames out of order wait, repeated ones are compared, gaps end the attempt") {
  gateway_stage stage(two_nodes());
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 2, 2));
  stage.finished("home", end_of(start, 8));
  CHECK(stage.delivered().empty());
  SUBCASE("the gap closes") {
    stage.tokens("home", frame_of(start, 0, 2));
    stage.tokens("home", frame_of(start, 0, 2));
    stage.tokens("home", frame_of(start, 4, 4));
    CHECK(stage.delivered().size() == 8);
    CHECK(stage.contiguous);
    CHECK(stage.core.counters().frames_repeated == 1);
    CHECK(stage.count(E::kJobFinished) == 1);
  }
  SUBCASE("the gap stays") {
    stage.wait(milliseconds(600));
    CHECK(stage.count(E::kStopSequence) == 1);
    const auto [node, second] = next_attempt(stage);
    CHECK(node == "away");
    CHECK(second.forced_ids_size() == 0);
  }
}

TEST_CASE("a worker that contradicts itself is given up; what was delivered stands") {
  gateway_stage stage(two_nodes());
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 3));
  proto::SequenceTokens lie = frame_of(start, 0, 3);
  SUBCASE("another token at a delivered index") {
    lie.set_ids(1, 49);
  }
  SUBCASE("a hash that does not hold") {
    lie = frame_of(start, 3, 2);
    lie.set_running_hash(5);
  }
  SUBCASE("more tokens than asked for") {
    lie = frame_of(start, 3, 6);
  }
  SUBCASE("a frame across what is held") {
    lie = frame_of(start, 2, 3);
  }
  SUBCASE("no tokens at all") {
    lie.clear_ids();
  }
  stage.tokens("home", lie);
  CHECK(stage.core.counters().frames_contradicting == 1);
  CHECK(stage.delivered().size() == 3);
  const auto [node, second] = next_attempt(stage);
  CHECK(node == "away");
  CHECK(second.forced_ids_size() == 3);
}

TEST_CASE("an end that does not fit the tokens is no end") {
  gateway_stage stage(two_nodes());
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 3));
  auto end = end_of(start, 3);
  SUBCASE("wrong hash") {
    end.set_running_hash(1);
  }
  SUBCASE("fewer tokens than sent") {
    end = end_of(start, 2);
  }
  SUBCASE("no reason") {
    end.set_reason(proto::FINISH_REASON_UNSPECIFIED);
  }
  stage.finished("home", end);
  CHECK(stage.count(E::kJobFinished) == 0);
  CHECK(next_attempt(stage).first == "away");
}

TEST_CASE("frames from another node, epoch or incarnation are dropped and counted") {
  gateway_stage stage(two_nodes());
  const auto start = stage.started(job_with('j'));
  auto frame = frame_of(start, 0, 1);
  stage.tokens("away", frame);
  frame.mutable_fence()->set_gateway_epoch(2);
  stage.tokens("home", frame);
  frame = frame_of(start, 0, 1);
  frame.mutable_fence()->set_worker_incarnation(9);
  stage.tokens("home", frame);
  frame = frame_of(start, 0, 1);
  frame.set_job_id(std::string(16, 'x'));
  stage.tokens("home", frame);
  CHECK(stage.delivered().empty());
  CHECK(stage.core.counters().frames_fenced == 4);
}

TEST_CASE("a worker gets the client's credit, no more") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j', 8, 3));
  CHECK(start.credit_tokens() == 3);
  stage.tokens("home", frame_of(start, 0, 3));
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.credit(start.job_id(), 5);
  const auto more = stage.next(E::kGrantSequenceCredit);
  REQUIRE(more);
  CHECK(more->grant_sequence_credit().limit() == 5);
  stage.credit(start.job_id(), 100);
  CHECK(stage.next(E::kGrantSequenceCredit)->grant_sequence_credit().limit() == 8);
  stage.credit(start.job_id(), 100);
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.credit(start.job_id(), 100, "mallory");
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
}

TEST_CASE("a model whose loading fails at one node is loaded at another") {
  gateway_stage stage({node_with("away", proto::ON_DISK), node_with("home", proto::ON_DISK, true)});
  stage.submit(job_with('j'));
  stage.prompt_prepared();
  const auto here = stage.next(E::kLoadModel);
  REQUIRE(here);
  CHECK(here->target().node() == "home");
  stage.answer(here, *refuse(*here, proto::Error::RESOURCE_EXHAUSTED, "no memory"));
  const auto there = stage.next(E::kLoadModel);
  REQUIRE(there);
  CHECK(there->target().node() == "away");
}

TEST_CASE("a job that was forgotten and comes again is another attempt for the workers") {
  gateway_stage stage;
  const auto first = stage.started(job_with('j'));
  stage.take(stage.core.node_lost("alice", stage.now));
  CHECK(stage.core.known_jobs() == 0);
  const auto again = stage.started(job_with('j'));
  REQUIRE(again.job_id() == first.job_id());
  CHECK(again.fence().gateway_epoch() == first.fence().gateway_epoch());
  CHECK(again.fence().attempt() > first.fence().attempt());
  stage.tokens("home", frame_of(first, 0, 8));  // of what it was before
  CHECK(stage.delivered().empty());
  stage.tokens("home", frame_of(again, 0, 8));
  CHECK(stage.delivered().size() == 8);
}

TEST_CASE("a gateway that was started again takes no reply to what it asked before") {
  auto settings = gateway_stage::plain_settings();
  gateway_stage before({node_with("home", proto::READY, true)}, settings);
  before.submit(job_with('j'));
  const auto asked = before.next(E::kPreparePrompt);
  REQUIRE(asked);
  ++settings.epoch;
  gateway_stage after({node_with("home", proto::READY, true)}, settings);
  after.submit(job_with('k'));
  proto::Envelope late;
  late.mutable_prompt_prepared()->set_model_digest(digest_a);
  late.mutable_prompt_prepared()->add_ids(9);
  late.mutable_prompt_prepared()->set_context_tokens(100);
  late.mutable_prompt_prepared()->set_vocabulary_size(50);
  after.answer(asked, late);
  CHECK(after.count(E::kJobAccepted) == 0);
  after.prompt_prepared();
  CHECK(after.count(E::kJobAccepted) == 1);
}
