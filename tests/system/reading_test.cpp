// Scores and embeddings through daemons, the release of a conversation, and nodes whose keys and
// values are kept differently.
#include <doctest/doctest.h>
#include <signal.h>

#include "nodes.hpp"

using namespace system_test;

namespace {

troupe::client::job reading_of(const std::string& text) {
  troupe::client::job job = job_of(text, 0);
  job.ignore_end = false;
  return job;
}

}  // namespace

TEST_CASE("a score is the same at two nodes and beside a held prefix; an embedding comes too") {
  node left({.name = "left"});
  node right({.name = "right"});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  REQUIRE_MESSAGE(right.ready(), right.errors());
  auto at_left = left.connect(), at_right = right.connect();
  const std::string text = "Once upon a time there was a machine that told the truth about it.";
  REQUIRE(!ask(*at_right, job_of(text)).failure);  // right holds the text now
  troupe::client::job score = reading_of(text);
  score.score = true;
  const answer first = ask(*at_left, score), second = ask(*at_right, score);
  REQUIRE_MESSAGE(!first.failure, first.failure->text());
  REQUIRE_MESSAGE(!second.failure, second.failure->text());
  CHECK(first.ids.empty());
  CHECK(first.report.prompt_log_probabilities.size() == first.report.prompt_tokens - 1);
  CHECK(first.report.prompt_log_probabilities == second.report.prompt_log_probabilities);
  for (const float one : first.report.prompt_log_probabilities) CHECK(one < 0);
  troupe::client::job embed = reading_of(text);
  embed.embed = true;
  CHECK(!ask(*at_left, embed).report.embedding.empty());
  embed.score = true;
  CHECK(ask(*at_left, embed).failure->code == troupe::error_code::invalid_argument);
}

TEST_CASE("a conversation's memory is released by its last job, once it has ended") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  troupe::client::job talk = job_of("Once upon a time", 100);
  talk.cache_bypass = true;
  const answer told = ask(*at, talk);
  REQUIRE_MESSAGE(!told.failure, told.failure->text());
  const auto first = at->release(told.report.job_id);
  REQUIRE_MESSAGE(first, first.failure().text());
  CHECK(first->blocks_freed == (told.report.prompt_tokens + 99) / 16);
  CHECK(first->blocks_kept == 0);
  CHECK(first->nodes_silent.empty());
  const auto again = at->release(told.report.job_id);
  REQUIRE(again);
  CHECK(again->blocks_freed == 0);
  const answer computed = ask(*at, talk);
  CHECK(computed.report.prefix_tokens == 0);
  CHECK(computed.ids == told.ids);
  CHECK(!at->release("00000000-0000-7000-8000-000000000000"));
  CHECK(at->release("tiny", computed.ids)->blocks_freed == 0);  // no text begins with the answer
}

TEST_CASE("nodes of two classes: an answer that crosses says so, and no cache mixes them") {
  redis_server redis;
  node gateway(
      {.name = "gateway", .redis = redis.address(), .has_model = false, .computes = false});
  REQUIRE_MESSAGE(gateway.ready(), gateway.errors());
  std::optional<node> halves;
  halves.emplace(node_wish{.name = "halves", .peers = {gateway.address()}, .preloads = true});
  REQUIRE_MESSAGE(halves->ready(), halves->errors());
  auto at = gateway.connect();
  REQUIRE(eventually([&] { return model_ready(*at, "halves"); }));
  const answer cached = ask(*at, job_of("A cached one"));
  REQUIRE_MESSAGE(!cached.failure, cached.failure->text());
  CHECK(cached.report.numerics_class == "cpu-1");
  CHECK(!cached.report.class_changed);

  troupe::client::job talk = job_of("Once upon a time", 1200);
  auto submitted = at->submit(talk);
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  std::vector<std::int32_t> begun;
  for (int i = 0; i < 20; ++i) {
    auto next = (*submitted)->next(milliseconds(30'000));
    REQUIRE(next);
    REQUIRE(*next);
    begun.push_back((**next).id);
  }
  node bytes({.name = "bytes", .peers = {gateway.address()}, .kv_type = "q8_0", .preloads = true});
  REQUIRE_MESSAGE(bytes.ready(), bytes.errors());
  REQUIRE(eventually([&] { return model_ready(*at, "bytes"); }));
  halves->process().signal(SIGKILL);
  REQUIRE(halves->process().wait(milliseconds(10'000)));
  const answer rest = read_all(**submitted);
  REQUIRE_MESSAGE(!rest.failure, rest.failure->text());
  CHECK(rest.report.class_changed);
  CHECK(rest.report.numerics_class == "cpu-1-kvq8");
  CHECK(begun.size() + rest.ids.size() == 1200);

  const answer other = ask(*at, job_of("A cached one"));  // the same job, in the other class
  REQUIRE_MESSAGE(!other.failure, other.failure->text());
  CHECK(other.report.source == troupe::client::answer_source::computed);
  CHECK(other.report.numerics_class == "cpu-1-kvq8");
  CHECK(!other.report.class_changed);
}
