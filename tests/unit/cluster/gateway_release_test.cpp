// The release of what the nodes hold of a text, as the gateway carries it through.
#include <doctest/doctest.h>

#include "tests/unit/cluster/gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<member> three_nodes() {
  member gone = node_with("gone", proto::READY);
  gone.up = false;
  member idle = node_with("idle", proto::ON_DISK);  // a gateway that computes nothing
  idle.load.sequences_max = 0;
  return {node_with("away", proto::LOADING), gone, idle, node_with("home", proto::READY, true)};
}

void ask(gateway_stage& stage, const proto::ReleasePrefix& wish) {
  proto::Envelope message;
  *message.mutable_release_prefix() = wish;
  message.set_correlation(9);
  stage.say("alice", "client", message);
}

proto::ReleasePrefix tokens_of(const std::string& model) {
  proto::ReleasePrefix wish;
  wish.set_model(model);
  for (int id : {4, 5, 6}) wish.add_ids(id);
  return wish;
}

proto::Envelope released(std::uint32_t freed, std::uint32_t kept) {
  proto::Envelope reply;
  reply.mutable_blocks_released()->set_blocks_freed(freed);
  reply.mutable_blocks_released()->set_blocks_kept(kept);
  return reply;
}

proto::Error::Code refusal(gateway_stage& stage, const proto::ReleasePrefix& wish) {
  ask(stage, wish);
  const auto no = stage.next(E::kError);
  REQUIRE(no);
  CHECK(no->correlation() == 9);
  CHECK(stage.count(E::kReleaseBlocks) == 0);
  return no->error().code();
}

}  // namespace

TEST_CASE(
    "a release goes to every node that computes and has the model, and their counts come back") {
  gateway_stage stage(three_nodes());
  ask(stage, tokens_of("tiny"));
  REQUIRE(stage.count(E::kReleaseBlocks) == 2);
  const auto away = stage.next(E::kReleaseBlocks), home = stage.next(E::kReleaseBlocks);
  CHECK(away->target().node() == "away");
  CHECK(away->target().actor() == "inference");
  CHECK(home->target().node() == "home");
  CHECK(home->release_blocks().model_digest() == digest_a);
  CHECK(home->release_blocks().ids_size() == 3);
  stage.answer(home, released(5, 1));
  CHECK(stage.count(E::kPrefixReleased) == 0);
  SUBCASE("all answer") {
    stage.answer(away, released(2, 0));
    const auto told = stage.next(E::kPrefixReleased);
    REQUIRE(told);
    CHECK(told->correlation() == 9);
    CHECK(told->target().node() == "alice");
    CHECK(told->prefix_released().blocks_freed() == 7);
    CHECK(told->prefix_released().blocks_kept() == 1);
    CHECK(told->prefix_released().nodes_size() == 2);
    CHECK(told->prefix_released().nodes_silent_size() == 0);
  }
  SUBCASE("one stays silent") {
    stage.wait(milliseconds(2'000));
  }
  SUBCASE("one is lost") {
    stage.take(stage.core.node_lost("away", stage.now));
  }
  if (const auto told = stage.next(E::kPrefixReleased)) {
    CHECK(told->prefix_released().blocks_freed() == 5);
    REQUIRE(told->prefix_released().nodes_silent_size() == 1);
    CHECK(told->prefix_released().nodes_silent(0) == "away");
  }
  CHECK(stage.core.waiting_requests() == 0);
}

TEST_CASE("a job's release names its prompt and its answer") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j', 2));
  stage.tokens("home", frame_of(start, 0, 2));
  stage.finished("home", end_of(start, 2));
  proto::ReleasePrefix wish;
  wish.set_job_id(std::string(16, 'j'));
  ask(stage, wish);
  const auto asked = stage.next(E::kReleaseBlocks);
  REQUIRE(asked);
  const auto& ids = asked->release_blocks().ids();
  CHECK(std::vector<std::int32_t>(ids.begin(), ids.end()) ==
        std::vector<std::int32_t>{1, 2, 3, token_at(0), token_at(1)});
  stage.answer(asked, released(0, 0));
  CHECK(stage.next(E::kPrefixReleased));
}

TEST_CASE("a release of nothing, of a strange job or model, or by one who is gone") {
  gateway_stage stage(three_nodes());
  proto::ReleasePrefix wish;
  CHECK(refusal(stage, wish) == proto::Error::INVALID_ARGUMENT);
  wish.set_job_id(std::string(16, 'x'));
  CHECK(refusal(stage, wish) == proto::Error::NOT_FOUND);
  wish.add_ids(1);
  CHECK(refusal(stage, wish) == proto::Error::INVALID_ARGUMENT);
  CHECK(refusal(stage, tokens_of("unknown")) == proto::Error::NOT_FOUND);
  ask(stage, tokens_of("tiny"));
  const auto first = stage.next(E::kReleaseBlocks), second = stage.next(E::kReleaseBlocks);
  stage.take(stage.core.node_lost("alice", stage.now));
  stage.answer(first, released(1, 0));
  stage.answer(second, released(1, 0));
  CHECK(stage.count(E::kPrefixReleased) == 0);
}

TEST_CASE("releases that wait are bounded; where no node computes nothing waits") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.releases_max = 2;
  gateway_stage stage(three_nodes(), settings);
  for (int i = 0; i < 3; ++i) ask(stage, tokens_of("tiny"));
  CHECK(stage.count(E::kReleaseBlocks) == 4);
  const auto no = stage.next(E::kError);
  REQUIRE(no);
  CHECK(no->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  member idle = node_with("home", proto::ON_DISK, true);
  idle.load.sequences_max = 0;
  gateway_stage cold({idle});
  ask(cold, tokens_of("tiny"));
  const auto told = cold.next(E::kPrefixReleased);
  REQUIRE(told);
  CHECK(told->prefix_released().blocks_freed() == 0);
}
