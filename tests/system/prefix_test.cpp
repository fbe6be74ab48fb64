// KV that one node holds draws jobs to it, whoever takes them.
#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace system_test;

TEST_CASE(
    "a job goes to the node that holds its prefix, and gets the answer that computing gives") {
  node left({.name = "left", .preloads = true});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  node right({.name = "right", .peers = {left.address()}, .preloads = true});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  auto at_left = left.connect();
  auto at_right = right.connect();
  REQUIRE(nodes_up(*at_left, 2));
  REQUIRE(nodes_up(*at_right, 2));

  const auto job_with = [&](const std::vector<std::int32_t>& ids) {
    troupe::client::job job = job_of("", 8);
    job.prompt_ids = ids;
    job.cache_bypass = true;
    return job;
  };
  // Both have the model ready, so that nothing but the prefix tells them apart.
  REQUIRE(!ask(*at_left, job_with({1, 2, 3})).failure);
  REQUIRE(!ask(*at_right, job_with({1, 2, 3})).failure);
  REQUIRE(eventually([&] {
    return ask(*at_right, job_with({4, 5})).report.worker_node == "right";
  }));
  std::vector<std::int32_t> longer;
  answer drawn;
  std::int32_t tries = 0;
  CHECK(eventually([&] {  // a new prefix each time: where the news of it came late, both hold it
    std::vector<std::int32_t> prefix;
    for (std::int32_t i = 0; i < 400; ++i) prefix.push_back(1 + (i * 7 + tries) % 200);
    ++tries;
    if (ask(*at_left, job_with(prefix)).report.worker_node != "left") return false;
    ::usleep(300'000);  // some heartbeats
    longer = prefix;
    longer.insert(longer.end(), {9, 8, 7});
    drawn = ask(*at_right, job_with(longer));
    return drawn.report.worker_node == "left";
  }));
  REQUIRE_MESSAGE(!drawn.failure, drawn.failure->text());
  CHECK(drawn.report.gateway_node == "right");
  CHECK(drawn.report.prefix_tokens == 400);

  node alone({.name = "alone"});
  REQUIRE_MESSAGE(alone.ready(), alone.errors());
  const answer computed = ask(*alone.connect(), job_with(longer));
  CHECK(computed.report.prefix_tokens == 0);
  CHECK(computed.ids == drawn.ids);
}

TEST_CASE("KV that has left a node's store comes back from its host memory, with the same answer") {
  const auto prompt_of = [](std::int32_t seed) {
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < 400; ++i) ids.push_back(1 + (i * 11 + seed * 17) % 200);
    return ids;
  };
  const auto ask_at = [&](node& at, std::int32_t seed) {
    troupe::client::job job = job_of("", 8);
    job.prompt_ids = prompt_of(seed);
    job.cache_bypass = true;
    const answer got = ask(*at.connect(), job);
    REQUIRE_MESSAGE(!got.failure, got.failure->text());
    return got;
  };
  node without({.name = "without", .inference = "  sequences_max: 4\n"});
  node with({.name = "with", .inference = "  sequences_max: 4\n  kv_host_bytes: 64MiB\n"});
  REQUIRE_MESSAGE(without.ready(), without.errors());
  REQUIRE_MESSAGE(with.ready(), with.errors());
  const answer first = ask_at(with, 0);
  CHECK(first.report.prefix_tokens == 0);
  CHECK(ask_at(without, 0).ids == first.ids);
  // Others take the store's memory, until nothing of the first is left there.
  std::int32_t others = 0;
  REQUIRE(eventually(
      [&] {
        // More each time: asking for the first one makes it the last to go.
        for (std::int32_t more = others + 10; more > 0; --more) {
          ++others;
          CHECK(ask_at(without, others).ids == ask_at(with, others).ids);
        }
        return ask_at(without, 0).report.prefix_tokens == 0;
      },
      milliseconds(120'000)));
  const answer back = ask_at(with, 0);
  CHECK(back.ids == first.ids);
  CHECK(back.report.prefix_tokens > 300);
}
