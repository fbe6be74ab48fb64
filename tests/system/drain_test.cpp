// A node that is asked to end: what it runs ends first, new jobs go elsewhere, its process exits.
#include <doctest/doctest.h>

#include <thread>

#include "nodes.hpp"

using namespace system_test;
using troupe::error_code;

TEST_CASE("a drained node takes no new jobs, finishes its own, and exits") {
  node stays({.name = "stays"});
  REQUIRE_MESSAGE(stays.ready(), stays.errors());
  node leaves({.name = "leaves", .peers = {stays.address()}});
  REQUIRE_MESSAGE(leaves.ready(), leaves.errors());
  auto at_stays = stays.connect();
  REQUIRE(nodes_up(*at_stays, 2));
  auto at_leaves = leaves.connect();

  troupe::client::job job = job_of("Once upon a time", 600);
  job.cache_bypass = true;
  auto running = at_leaves->submit(job);
  REQUIRE_MESSAGE(running, running.failure().text());
  REQUIRE((*running)->next(milliseconds(30'000)));

  troupe::status drained;
  std::thread drainer([&] {  // asked at the other node, which knows the address
    drained = at_stays->drain("leaves", milliseconds(60'000));
  });
  const bool refused = eventually([&] {
    auto late = at_leaves->submit(job_of("too late"));
    return !late && late.failure().text().find("leaves stops") != std::string::npos;
  });
  const answer rest = read_all(**running);
  drainer.join();
  CHECK(refused);
  CHECK_MESSAGE(!rest.failure, rest.failure->text());
  CHECK(rest.ids.size() == 599);
  CHECK_MESSAGE(drained, drained.failure().text());
  const auto code = leaves.process().wait(milliseconds(20'000));
  REQUIRE(code);
  CHECK(*code == 0);
  CHECK(!ask(*at_stays, job_of("the other one answers")).failure);
  CHECK(eventually([&] { return stays.log().find("node_left peer=leaves") != std::string::npos; }));
  CHECK(stays.log().find("node_lost") == std::string::npos);
}

TEST_CASE("a drain ends what takes longer than its time, and names what it cannot find") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  const troupe::status unknown = at->drain("nobody", milliseconds(100));
  REQUIRE(!unknown);
  CHECK(unknown.failure().code == error_code::not_found);
  CHECK(unknown.failure().text().find("only") != std::string::npos);

  troupe::client::job job = job_of("Once upon a time", 1200);
  auto other = only.connect();
  auto running = other->submit(job);
  REQUIRE_MESSAGE(running, running.failure().text());
  const troupe::status drained = at->drain("only", milliseconds(1));
  CHECK_MESSAGE(drained, drained.failure().text());
  CHECK(read_all(**running).failure);
  const auto code = only.process().wait(milliseconds(20'000));
  REQUIRE(code);
  CHECK(*code == 0);
}
