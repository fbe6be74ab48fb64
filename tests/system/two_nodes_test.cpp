// Two daemons and a Redis answer prompts: the same bytes wherever one asks, computed or from a
// cache.
#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace system_test;
using troupe::client::answer_source;
using troupe::client::finish_reason;

namespace {

// An answer is stored beside the job, not before its end.
std::uint64_t stored_in_redis(troupe::client::cluster& at, const std::string& node) {
  const nlohmann::json status = status_of(at);
  for (const auto& tier : part_of(status, node)->at("cache").at("tiers"))
    if (tier.at("name") == "redis") return tier.at("stores").get<std::uint64_t>();
  return 0;
}

}  // namespace

TEST_CASE("the same prompt gives the same bytes at both nodes, computed and from the shared tier") {
  redis_server redis;
  node first({.name = "first", .redis = redis.address()});
  REQUIRE_MESSAGE(first.ready(), first.errors());
  node second({.name = "second", .peers = {first.address()}, .redis = redis.address()});
  REQUIRE_MESSAGE(second.ready(), second.errors());
  auto at_first = first.connect();
  auto at_second = second.connect();
  REQUIRE(nodes_up(*at_first, 2));
  REQUIRE(nodes_up(*at_second, 2));

  troupe::client::job job = job_of("The quick brown fox");
  const answer computed = ask(*at_first, job);
  REQUIRE_MESSAGE(!computed.failure, computed.failure->text());
  CHECK(computed.ids.size() == 24);
  CHECK(computed.report.reason == finish_reason::length);
  CHECK(computed.report.source == answer_source::computed);
  CHECK(computed.report.answer_tokens == 24);
  CHECK(computed.report.gateway_node == "first");
  CHECK(computed.report.engine == "cpu");
  CHECK(!computed.report.numerics_class.empty());

  const answer again = ask(*at_first, job);
  CHECK(again.report.source == answer_source::local_cache);
  CHECK(again.ids == computed.ids);
  CHECK(again.text == computed.text);

  REQUIRE(eventually([&] { return stored_in_redis(*at_first, "first") > 0; }));
  const answer shared = ask(*at_second, job);
  CHECK(shared.report.source == answer_source::shared_cache);
  CHECK(shared.report.worker_node == computed.report.worker_node);
  CHECK(shared.ids == computed.ids);
  CHECK(shared.text == computed.text);

  job.cache_bypass = true;
  const answer bypassed = ask(*at_second, job);
  CHECK(bypassed.report.source == answer_source::computed);
  CHECK(bypassed.ids == computed.ids);
  CHECK(bypassed.text == computed.text);
}
