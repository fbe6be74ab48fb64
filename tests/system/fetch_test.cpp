// A model moves to a node that lacks it.
#include <doctest/doctest.h>
#include <signal.h>

#include "nodes.hpp"

using namespace system_test;

TEST_CASE("a node fetches a model that only the other one has, and then answers by itself") {
  node holder({.name = "holder"});
  REQUIRE_MESSAGE(holder.ready(), holder.errors());
  node fetcher(
      {.name = "fetcher", .peers = {holder.address()}, .has_model = false, .preloads = true});
  REQUIRE_MESSAGE(fetcher.ready(), fetcher.errors());
  auto at_fetcher = fetcher.connect();
  REQUIRE_MESSAGE(model_ready(*at_fetcher, "fetcher"), fetcher.errors());
  troupe::client::job job = job_of("fetched");
  job.cache_bypass = true;
  answer there;
  CHECK(eventually([&] {
    there = ask(*at_fetcher, job);
    return there.report.worker_node == "fetcher";
  }));
  REQUIRE_MESSAGE(!there.failure, there.failure->text());

  auto at_holder = holder.connect();
  const answer original = ask(*at_holder, job_of("fetched"));
  REQUIRE(!original.failure);
  CHECK(original.ids == there.ids);
  CHECK(original.report.model_digest == there.report.model_digest);

  holder.process().signal(SIGKILL);
  holder.process().wait(milliseconds(10'000));
  const answer alone = ask(*at_fetcher, job);
  REQUIRE_MESSAGE(!alone.failure, alone.failure->text());
  CHECK(alone.ids == there.ids);
}

TEST_CASE("a gateway that does not compute sends its jobs to a node that does") {
  node worker({.name = "worker"});
  REQUIRE_MESSAGE(worker.ready(), worker.errors());
  node gateway(
      {.name = "gateway", .peers = {worker.address()}, .has_model = false, .computes = false});
  REQUIRE_MESSAGE(gateway.ready(), gateway.errors());
  auto at = gateway.connect();
  REQUIRE(nodes_up(*at, 1));
  answer got;
  CHECK(eventually([&] {
    got = ask(*at, job_of("far away"));
    return !got.failure;
  }));
  CHECK(got.report.gateway_node == "gateway");
  CHECK(got.report.worker_node == "worker");
  auto near = worker.connect();
  CHECK(ask(*near, job_of("far away")).ids == got.ids);
}
