// Jobs that score their prompt, and the release of what the nodes hold of a text.
#include <doctest/doctest.h>

#include "kernels/sampler/sampler.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

std::vector<kernels::token_id> some_tokens(int count, int step = 7) {
  std::vector<kernels::token_id> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(1 + i * step % 31);
  return tokens;
}

// Each token after those before it, one at a time, by a fresh engine: the slow twin.
std::vector<float> plain_scores(const std::vector<kernels::token_id>& prompt) {
  prf_engine engine{64, 128};
  const std::vector<kernels::block_id> blocks{0, 1, 2, 3, 4, 5, 6, 7};
  std::vector<float> scores;
  for (std::size_t end = 1; end < prompt.size(); ++end) {
    const kernels::sequence_step step{.tokens = std::span(prompt).first(end), .blocks = blocks};
    const auto logits = engine.step({&step, 1});
    REQUIRE(logits.ok());
    scores.push_back(static_cast<float>(kernels::log_probability(logits->values, prompt[end])));
  }
  return scores;
}

std::vector<float> scores_of(const heard& h) {
  REQUIRE(h.finished);
  const auto& given = h.finished->prompt_log_probabilities();
  return {given.begin(), given.end()};
}

proto::BlocksReleased release(bench& b, const std::vector<kernels::token_id>& ids) {
  b.others.clear();
  b.say(release_message(ids));
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].correlation() == 9);
  CHECK(b.others[0].target().node() == "gate");
  return b.others[0].blocks_released();
}

// Its prompt and its answer.
std::vector<kernels::token_id> whole(bench& b, const job_wish& job) {
  std::vector<kernels::token_id> ids = job.prompt;
  ids.insert(ids.end(), b.of(job).ids.begin(), b.of(job).ids.end());
  return ids;
}

}  // namespace

TEST_CASE("a score is one pass, each token given those before it, the same in whatever pieces") {
  const job_wish job{.prompt = some_tokens(45), .credit = 0, .score = true};
  const std::vector<float> expected = plain_scores(job.prompt);
  REQUIRE(expected.size() == 44);
  for (const std::uint32_t chunk : {1u, 7u, 512u}) {
    inference_settings settings;
    settings.batch_tokens_max = chunk;
    bench b{settings};
    b.add_model("model", 64, 128);
    b.say(start_message(job));
    b.run();
    const heard& h = b.of(job);
    CHECK(h.ids.empty());
    CHECK(scores_of(h) == expected);
    CHECK(h.finished->reason() == proto::LENGTH);
    CHECK(h.finished->answer_tokens() == 0);
    CHECK(b.engines["model"]->tokens_seen == 45);
    CHECK(b.core.blocks_of("model") == std::pair{64u, 64u});
  }
}

TEST_CASE("a held prefix has no logits: a score computes it again, and holds it for others") {
  bench b;
  b.add_model("model", 64, 128);
  const job_wish before{.id = "before", .prompt = some_tokens(40)};
  b.say(start_message(before));
  b.run();
  const std::uint64_t seen = b.engines["model"]->tokens_seen;
  const job_wish score{.id = "score", .prompt = some_tokens(60), .credit = 0, .score = true};
  b.say(start_message(score));
  b.run();
  CHECK(scores_of(b.of(score)) == plain_scores(score.prompt));
  CHECK(b.of(score).finished->prefix_tokens() == 0);
  CHECK(b.engines["model"]->tokens_seen == seen + 60);
  const job_wish after{.id = "after", .prompt = some_tokens(60)};
  b.say(start_message(after));
  b.run();
  CHECK(b.of(after).finished->prefix_tokens() == 48);
  CHECK(b.of(after).ids == alone(after, 64, 128).ids);
}

TEST_CASE("the logits of one step's scores are bounded, whatever the prompts are") {
  inference_settings settings;
  settings.score_bytes_max = letters::size * sizeof(float) * 10;
  bench b{settings};
  b.add_model("model", 64, 128);
  std::vector<job_wish> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back({.id = "s" + std::to_string(i),
                    .prompt = some_tokens(50 + i, 3 + 2 * i),
                    .credit = 0,
                    .score = true});
    b.say(start_message(jobs.back()));
  }
  b.run();
  CHECK(b.engines["model"]->largest_rows == 10);
  for (const job_wish& job : jobs) CHECK(scores_of(b.of(job)) == plain_scores(job.prompt));
}

TEST_CASE("a score of one token says nothing, of the whole context fits, with embed is refused") {
  bench b;
  b.add_model("model", 64, 64);
  const job_wish one{.id = "one", .prompt = {5}, .score = true};
  const job_wish full{.id = "full", .prompt = some_tokens(64), .score = true};
  const job_wish longer{.id = "longer", .prompt = some_tokens(65), .score = true};
  const job_wish both{.id = "both", .embed = true, .score = true};
  for (const job_wish& job : {one, full, longer, both}) b.say(start_message(job));
  b.run();
  CHECK(scores_of(b.of(one)).empty());
  CHECK(scores_of(b.of(full)).size() == 63);
  CHECK(b.of(longer).failed->error().code() == proto::Error::INVALID_ARGUMENT);
  CHECK(b.of(both).failed->error().code() == proto::Error::INVALID_ARGUMENT);
}

TEST_CASE("who reads a prompt needs no credit, however long it waits") {
  inference_settings settings;
  settings.sequences_running_max = 1;
  bench b{settings};
  b.add_model("model", 64, 128);
  const job_wish slow{.id = "slow", .tokens_max = 40};
  const job_wish score{.id = "score", .prompt = some_tokens(20), .credit = 0, .score = true};
  b.say(start_message(slow));
  b.turn();
  b.say(start_message(score));
  b.now += std::chrono::seconds{301};
  b.take(b.core.tick(b.now));
  b.run();
  CHECK(scores_of(b.of(score)).size() == 19);
}

TEST_CASE("a release frees what nobody uses, keeps what another text shares, and may be repeated") {
  bench b;
  b.add_model("model", 64, 128);
  job_wish talk{.id = "talk", .prompt = some_tokens(40), .tokens_max = 30};
  b.say(start_message(talk));
  b.run();
  job_wish other{.id = "other", .prompt = some_tokens(40), .tokens_max = 1};
  other.prompt.resize(20);  // the first block is the talk's
  for (int i = 0; i < 20; ++i) other.prompt.push_back(9);
  b.say(start_message(other));
  b.run();
  const auto held = b.core.engines().at("model").kv_blocks_reusable;
  CHECK(held == 4 + 1);  // 69 tokens that were computed, and the other's second block
  const std::vector<kernels::token_id> ids = whole(b, talk);
  const proto::BlocksReleased first = release(b, ids);
  CHECK(first.blocks_freed() == 3);
  CHECK(first.blocks_kept() == 1);
  CHECK(b.core.engines().at("model").kv_blocks_reusable == 2);
  const proto::BlocksReleased again = release(b, ids);
  CHECK(again.blocks_freed() == 0);
  CHECK(again.blocks_kept() == 1);
  CHECK(release(b, whole(b, other)).blocks_freed() == 2);
  CHECK(b.core.engines().at("model").kv_blocks_reusable == 0);
  CHECK(release(b, ids).blocks_kept() == 0);
  CHECK(release(b, {}).blocks_freed() == 0);
}

TEST_CASE("a release leaves what runs alone, and a model that is not here holds nothing") {
  bench b;
  b.add_model("model", 64, 128);
  const job_wish talk{.id = "talk", .prompt = some_tokens(40), .tokens_max = 30};
  b.say(start_message(talk));
  for (int i = 0; i < 5; ++i) b.turn();
  const proto::BlocksReleased told = release(b, talk.prompt);
  CHECK(told.blocks_freed() == 0);
  CHECK(told.blocks_kept() == 2);
  b.run();
  CHECK(b.of(talk).ids == alone(talk, 64, 128).ids);
  b.others.clear();
  b.say(release_message(talk.prompt, 9, "elsewhere"));
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].has_blocks_released());
}
