// A gateway that dies costs its clients time: their streams go on where they were, here or
// elsewhere.
#include <doctest/doctest.h>
#include <signal.h>

#include <future>

#include "nodes.hpp"

using namespace system_test;

namespace {

troupe::client::job long_job() {
  troupe::client::job job = job_of("Once upon a time", 1000);
  job.sampling.temperature = 0.8f;  // the seed is drawn, and must stay what it was
  job.cache_bypass = true;
  return job;
}

std::vector<std::int32_t> begin_reading(troupe::client::stream& stream, int tokens) {
  std::vector<std::int32_t> out;
  for (int i = 0; i < tokens; ++i) {
    auto next = stream.next(milliseconds(30'000));
    REQUIRE(next);
    REQUIRE(*next);
    out.push_back((**next).id);
  }
  return out;
}

// The whole answer is what an undisturbed run of the same job gives.
void check_whole(troupe::client::cluster& at, std::vector<std::int32_t> begun, const answer& rest) {
  REQUIRE_MESSAGE(!rest.failure, rest.failure->text());
  begun.insert(begun.end(), rest.ids.begin(), rest.ids.end());
  CHECK(begun.size() == 1000);
  troupe::client::job again = long_job();
  again.sampling.seed = rest.report.seed;
  const answer undisturbed = ask(at, again);
  REQUIRE_MESSAGE(!undisturbed.failure, undisturbed.failure->text());
  CHECK(undisturbed.report.attempts == 1);
  CHECK(undisturbed.ids == begun);
  CHECK(undisturbed.text.ends_with(rest.text));
  CHECK(!rest.report.class_changed);
}

std::string fixed_port() {
  return "tcp://127.0.0.1:" + std::to_string(free_port());
}

}  // namespace

TEST_CASE("a gateway killed mid-stream and started again: the stream goes on by itself") {
  node only({.name = "only", .listen = fixed_port()});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  auto submitted = at->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  const auto begun = begin_reading(**submitted, 30);
  only.kill();
  only.start_again();
  REQUIRE_MESSAGE(only.ready(), only.errors());
  const answer rest = read_all(**submitted);
  check_whole(*at, begun, rest);
  CHECK(rest.report.attempts >= 2);
  CHECK(only.log().find("journal_recovered") != std::string::npos);
}

TEST_CASE("a job whose client never knew of the crash: its answer waits at the new gateway") {
  node only({.name = "only", .listen = fixed_port()});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  troupe::client::job job = long_job();
  job.id = "0198c6f2-0000-7000-8000-000000000001";
  {
    auto at = only.connect();
    auto submitted = at->submit(job);
    REQUIRE_MESSAGE(submitted, submitted.failure().text());
    begin_reading(**submitted, 5);
    only.kill();
  }
  only.start_again();
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  REQUIRE(eventually([&] {
    return only.log().find("job_finished job=" + job.id + " reason=LENGTH") != std::string::npos;
  }));
  const answer whole = ask(*at, job);
  check_whole(*at, {}, whole);
}

TEST_CASE("a gateway killed mid-stream: the client goes on at another with what it holds") {
  node worker({.name = "worker"});
  REQUIRE_MESSAGE(worker.ready(), worker.errors());
  node left({.name = "left", .peers = {worker.address()}, .computes = false});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  node right({.name = "right", .peers = {worker.address()}, .computes = false});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  for (node* one : {&left, &right}) {
    auto watcher = one->connect();
    REQUIRE(nodes_up(*watcher, 2));
  }
  auto connected = troupe::client::cluster::connect(left.at() + "," + right.at());
  REQUIRE_MESSAGE(connected, connected.failure().text());
  auto submitted = (*connected)->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  const auto begun = begin_reading(**submitted, 30);
  const bool at_left = left.log().find("job_accepted") != std::string::npos;
  (at_left ? left : right).kill();
  const answer rest = read_all(**submitted);
  check_whole(**connected, begun, rest);
  CHECK(rest.report.gateway_node == (at_left ? "right" : "left"));
}

TEST_CASE("a client that knows several gateways waits for one that takes its job") {
  node only({.name = "only", .listen = fixed_port()});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  const std::string nobody = "127.0.0.1:" + std::to_string(free_port());
  auto several = troupe::client::cluster::connect(only.at() + "," + nobody);
  REQUIRE_MESSAGE(several, several.failure().text());
  auto one = only.connect();
  only.kill();
  REQUIRE(eventually([&] { return !one->submit(job_of("Once")).ok(); }));  // it knows of the loss
  auto waiting = std::async(std::launch::async, [&] { return ask(**several, job_of("Once")); });
  CHECK(waiting.wait_for(milliseconds(700)) == std::future_status::timeout);
  only.start_again();
  REQUIRE_MESSAGE(only.ready(), only.errors());
  const answer given = waiting.get();
  REQUIRE_MESSAGE(!given.failure, given.failure->text());
  CHECK(given.ids.size() == 24);
}

TEST_CASE("a gateway that stops in order hands its streams to another") {
  node worker({.name = "worker"});
  REQUIRE_MESSAGE(worker.ready(), worker.errors());
  node left({.name = "left", .peers = {worker.address()}, .computes = false});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  auto watcher = left.connect();
  REQUIRE(nodes_up(*watcher, 2));
  // "right" is not there yet, so that the stream begins at "left".
  const std::string address = fixed_port();
  auto connected = troupe::client::cluster::connect(left.at() + "," + address.substr(6));
  REQUIRE_MESSAGE(connected, connected.failure().text());
  auto submitted = (*connected)->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  const auto begun = begin_reading(**submitted, 30);
  node right({.name = "right", .peers = {worker.address()}, .computes = false, .listen = address});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  left.process().signal(SIGTERM);  // nobody reads: the job cannot end while it waits for it
  REQUIRE(left.process().wait(milliseconds(30'000)));
  const answer rest = read_all(**submitted);
  check_whole(**connected, begun, rest);
  CHECK(rest.report.gateway_node == "right");
}
