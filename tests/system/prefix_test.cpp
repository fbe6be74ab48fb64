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
