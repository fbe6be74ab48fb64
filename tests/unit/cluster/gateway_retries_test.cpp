// Nodes that refuse or fail while they live: who is asked next, when, and who is left alone.
#include <doctest/doctest.h>

#include <algorithm>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

gateway_settings exact_pauses() {
  gateway_settings out = gateway_stage::plain_settings();
  out.retry_jitter = 0;
  out.retry_min = milliseconds(100);
  out.retry_max = milliseconds(1'000);
  out.breaker_failures = 3;
  out.breaker_open_min = milliseconds(500);
  out.breaker_open_max = milliseconds(5'000);
  return out;
}

std::vector<member> two_nodes() {
  return {node_with("away", proto::READY), node_with("home", proto::READY, true)};
}

// The next attempt, or none. A model is loaded wherever that is asked for.
envelope_ptr next_attempt(gateway_stage& stage) {
  stage.answer_missing();
  stage.model_loaded();
  return stage.next(E::kStartSequence);
}

void fail(gateway_stage& stage, const envelope_ptr& attempt, proto::Error::Code code) {
  const proto::StartSequence& start = attempt->start_sequence();
  proto::Envelope message;
  message.mutable_sequence_failed()->set_job_id(start.job_id());
  *message.mutable_sequence_failed()->mutable_fence() = start.fence();
  message.mutable_sequence_failed()->mutable_error()->set_code(code);
  stage.say(attempt->target().node(), "inference", message);
}

void finish(gateway_stage& stage, const envelope_ptr& attempt) {
  const proto::StartSequence& start = attempt->start_sequence();
  const auto held = static_cast<std::uint32_t>(start.forced_ids_size());
  stage.tokens(attempt->target().node(), frame_of(start, held, start.tokens_max() - held));
  stage.finished(attempt->target().node(), end_of(start, start.tokens_max()));
}

envelope_ptr submitted(gateway_stage& stage, char id) {
  stage.submit(job_with(id));
  stage.prompt_prepared();
  return next_attempt(stage);
}

// Opens the breaker of the node that jobs prefer: three jobs fail there, and end at the other.
void break_home(gateway_stage& stage) {
  for (const char id : {'a', 'b', 'c'}) {
    const auto first = submitted(stage, id);
    REQUIRE(first->target().node() == "home");
    fail(stage, first, proto::Error::INTERNAL);
    const auto second = next_attempt(stage);
    REQUIRE(second);
    REQUIRE(second->target().node() == "away");
    finish(stage, second);
  }
}

proto::BreakerStatus shown_breaker(gateway_stage& stage, const std::string& node) {
  proto::Envelope question;
  question.mutable_read_cluster();
  question.set_correlation(9);
  stage.say("alice", "client", question);
  while (const auto asked = stage.next(E::kReadStatus)) {
    proto::Envelope reply;
    reply.mutable_node_status();
    stage.answer(asked, reply);
  }
  const auto status = stage.next(E::kClusterStatus);
  REQUIRE(status);
  for (const auto& one : status->cluster_status().nodes())
    if (one.node() == node) return one.breaker();
  return {};
}

void check_refusals(proto::Error::Code code) {
  SUBCASE("another can take it") {
    gateway_stage stage(two_nodes(), exact_pauses());
    const auto first = submitted(stage, 'j');
    fail(stage, first, code);
    const auto second = next_attempt(stage);  // no time has passed
    REQUIRE(second);
    CHECK(second->target().node() != first->target().node());
    SUBCASE("and refuses too") {
      fail(stage, second, code);
      CHECK(!next_attempt(stage));
      stage.wait(milliseconds(199));
      CHECK(!next_attempt(stage));
      stage.wait(milliseconds(1));
      CHECK(next_attempt(stage));
    }
  }
  SUBCASE("nobody else can") {
    gateway_stage stage({node_with("home", proto::READY, true)}, exact_pauses());
    auto attempt = submitted(stage, 'j');
    for (const int pause : {100, 200}) {
      fail(stage, attempt, code);
      CHECK(!next_attempt(stage));
      stage.wait(milliseconds(pause - 1));
      CHECK(!next_attempt(stage));
      stage.wait(milliseconds(1));
      attempt = next_attempt(stage);
      REQUIRE(attempt);
    }
    fail(stage, attempt, code);
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().error().code() == code);
    CHECK(end->job_finished().provenance().attempts() == 3);
  }
  SUBCASE("another comes while it waits") {
    gateway_stage stage({node_with("home", proto::READY, true)}, exact_pauses());
    fail(stage, submitted(stage, 'j'), code);
    CHECK(!next_attempt(stage));
    stage.show(two_nodes());
    const auto second = next_attempt(stage);
    REQUIRE(second);
    CHECK(second->target().node() == "away");
  }
}

}  // namespace

TEST_CASE("a full node: another takes the job at once, the same one after a growing pause") {
  check_refusals(proto::Error::RESOURCE_EXHAUSTED);
}

TEST_CASE("a node that says no: another takes the job at once, the same one after a pause") {
  check_refusals(proto::Error::UNAVAILABLE);
}

TEST_CASE("a worker that died is no refusal: the same node, once it is back, is asked at once") {
  gateway_stage stage({node_with("home", proto::READY, true)}, exact_pauses());
  REQUIRE(submitted(stage, 'j'));
  stage.take(stage.core.actor_restarted("home", "inference", stage.now));
  CHECK(next_attempt(stage));
}

TEST_CASE("a node that fails again and again gets no work, then one job, then all") {
  gateway_stage stage(two_nodes(), exact_pauses());
  break_home(stage);
  CHECK(std::any_of(stage.logged.begin(), stage.logged.end(), [](const std::string& line) {
    return line.starts_with("breaker_opened node=home");
  }));
  auto shown = shown_breaker(stage, "home");
  CHECK(shown.state() == proto::BREAKER_OPEN);
  CHECK(shown.failures() == 3);
  CHECK(shown.retry_ms() == 500);
  CHECK(shown_breaker(stage, "away").failures() == 0);
  finish(stage, submitted(stage, 'd'));
  CHECK(stage.next(E::kJobFinished));
  stage.wait(milliseconds(499));
  CHECK(submitted(stage, 'e')->target().node() == "away");
  stage.wait(milliseconds(1));
  const auto trial = submitted(stage, 'f');
  REQUIRE(trial->target().node() == "home");
  CHECK(shown_breaker(stage, "home").state() == proto::BREAKER_HALF_OPEN);
  CHECK(submitted(stage, 'g')->target().node() == "away");
  SUBCASE("the trial succeeds") {
    finish(stage, trial);
    CHECK(shown_breaker(stage, "home").state() == proto::BREAKER_CLOSED);
    CHECK(submitted(stage, 'h')->target().node() == "home");
  }
  SUBCASE("the trial fails: a longer rest") {
    fail(stage, trial, proto::Error::INTERNAL);
    CHECK(next_attempt(stage)->target().node() == "away");
    stage.wait(milliseconds(999));
    CHECK(submitted(stage, 'h')->target().node() == "away");
    stage.wait(milliseconds(1));
    CHECK(submitted(stage, 'i')->target().node() == "home");
  }
}

TEST_CASE("the only node rests: a job waits for its trial, and no longer than for one") {
  auto settings = exact_pauses();
  settings.worker_wait = milliseconds(200);
  settings.breaker_failures = 1;
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  const auto first = submitted(stage, 'a');
  fail(stage, first, proto::Error::DATA_CORRUPT);
  CHECK(!next_attempt(stage));
  SUBCASE("it may try again") {
    stage.wait(milliseconds(499));  // longer than a node is waited for that is not there
    CHECK(!next_attempt(stage));
    CHECK(stage.count(E::kJobFinished) == 0);
    stage.wait(milliseconds(1));
    const auto trial = next_attempt(stage);
    REQUIRE(trial);
    CHECK(!submitted(stage, 'b'));
    finish(stage, trial);
    stage.wait(milliseconds(50));
    CHECK(next_attempt(stage));
  }
  SUBCASE("others were tried instead: it fails in the end") {
    stage.submit(job_with('b'));
    stage.prompt_prepared();
    for (int i = 0; i < 400 && stage.core.counters().failed < 2; ++i) {
      stage.wait(milliseconds(50));
      if (const auto trial = next_attempt(stage)) fail(stage, trial, proto::Error::INTERNAL);
    }
    CHECK(stage.core.counters().failed == 2);
    CHECK(stage.core.counters().running == 0);
  }
}

TEST_CASE("what is not the node's fault opens nothing") {
  gateway_stage stage(two_nodes(), exact_pauses());
  std::optional<proto::Error::Code> code;
  SUBCASE("a full queue") {
    code = proto::Error::RESOURCE_EXHAUSTED;
  }
  SUBCASE("a wrong job") {
    code = proto::Error::INVALID_ARGUMENT;
  }
  SUBCASE("a death, which membership tells") {}
  for (const char id : {'a', 'b', 'c', 'd', 'e'}) {
    const auto first = submitted(stage, id);
    REQUIRE(first->target().node() == "home");
    if (code)
      fail(stage, first, *code);
    else
      stage.take(stage.core.actor_restarted("home", "inference", stage.now));
    if (const auto second = next_attempt(stage)) finish(stage, second);
  }
  CHECK(shown_breaker(stage, "home").failures() == 0);
}

TEST_CASE("a node that left the cluster is forgotten") {
  gateway_stage stage(two_nodes(), exact_pauses());
  break_home(stage);
  stage.show({node_with("away", proto::READY)});
  stage.show(two_nodes());
  CHECK(shown_breaker(stage, "home").state() == proto::BREAKER_CLOSED);
}

TEST_CASE("a silent worker is told its credit again, as long as it has some") {
  auto settings = exact_pauses();
  settings.credit_repeat = milliseconds(1'000);
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  const auto start = stage.started(job_with('j', 8, 3));
  stage.wait(milliseconds(999));
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.wait(milliseconds(1));
  const auto again = stage.next(E::kGrantSequenceCredit);
  REQUIRE(again);
  CHECK(again->grant_sequence_credit().limit() == 3);
  stage.wait(milliseconds(999));
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.tokens("home", frame_of(start, 0, 3));
  stage.wait(milliseconds(5'000));  // it waits for the client now
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.credit(start.job_id(), 5);
  CHECK(stage.next(E::kGrantSequenceCredit)->grant_sequence_credit().limit() == 5);
  stage.credit(start.job_id(), 4);  // an old grant, late
  stage.credit(start.job_id(), 5);  // the same, twice
  CHECK(stage.count(E::kGrantSequenceCredit) == 0);
  stage.wait(milliseconds(1'000));
  CHECK(stage.next(E::kGrantSequenceCredit)->grant_sequence_credit().limit() == 5);
}

TEST_CASE("a job whose model waits for another node waits with it, a minute, and says for what") {
  for (const bool comes_back : {true, false}) {
    member away = node_with("away", proto::ON_DISK);
    away.models[0].set_load_refusal(proto::WAITS_FOR_NODE);
    away.models[0].set_failure("node pc2 is down");
    member home = node_with("home", proto::ON_DISK, true);
    home.models[0].set_load_refusal(proto::TOO_LARGE);
    gateway_stage stage({away, home}, exact_pauses());
    stage.submit(job_with('j'));
    stage.prompt_prepared();
    stage.wait(milliseconds(50'000));
    CHECK_FALSE(stage.next(E::kLoadModel));
    CHECK_FALSE(stage.next(E::kJobFinished));
    if (comes_back) {
      stage.show({node_with("away", proto::READY), home});
      stage.wait(milliseconds(100));
      const auto attempt = next_attempt(stage);
      REQUIRE(attempt);
      CHECK(attempt->target().node() == "away");
      finish(stage, attempt);
      CHECK(stage.next(E::kJobFinished));
      continue;
    }
    stage.wait(milliseconds(11'000));
    const auto ended = stage.next(E::kJobFinished);
    REQUIRE(ended);
    CHECK(ended->job_finished().error().message().find("node pc2 is down") != std::string::npos);
  }
}
