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

TEST_CASE("nodes that know one address come to know all, and need it no more") {
  node seed({.name = "seed"});
  REQUIRE_MESSAGE(seed.ready(), seed.errors());
  node left({.name = "left", .peers = {seed.address()}});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  node right({.name = "right", .peers = {seed.address()}});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  auto at_left = left.connect();
  auto at_right = right.connect();
  REQUIRE(nodes_up(*at_left, 3));
  REQUIRE(nodes_up(*at_right, 3));
  const nlohmann::json status = status_of(*at_left);
  CHECK(part_of(status, "left")->at("disk_bytes_free").get<std::uint64_t>() > 0);
  seed.kill();
  const auto sees = [](troupe::client::cluster& at, const std::string& node, bool up) {
    return eventually([&] {
      const nlohmann::json status = status_of(at);
      const nlohmann::json* part = part_of(status, node);
      return part && part->at("up").get<bool>() == up;
    });
  };
  CHECK(sees(*at_left, "seed", false));
  CHECK(sees(*at_right, "seed", false));
  CHECK(sees(*at_left, "right", true));
  CHECK(!ask(*at_right, job_of("without the seed")).failure);
}
