// What breaks costs time, never an answer: Redis, a worker, a client, a whole node.
#include <doctest/doctest.h>
#include <signal.h>

#include <mutex>

#include "cluster/client/uuid.hpp"
#include "cluster/link/link.hpp"
#include "nodes.hpp"

using namespace system_test;
using troupe::client::answer_source;
using troupe::client::finish_reason;

namespace {

troupe::client::job long_job() {
  troupe::client::job job = job_of("Once upon a time", 1200);
  job.cache_bypass = true;
  return job;
}

std::uint64_t running_at(troupe::client::cluster& at, const std::string& node) {
  const nlohmann::json status = status_of(at);
  return part_of(status, node)->at("jobs").at("running").get<std::uint64_t>();
}

}  // namespace

TEST_CASE("a worker that is killed mid-stream: the gateway goes on at another node, same tokens") {
  node gateway({.name = "gateway", .has_model = false, .computes = false});
  REQUIRE_MESSAGE(gateway.ready(), gateway.errors());
  node left({.name = "left", .peers = {gateway.address()}});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  node right({.name = "right", .peers = {gateway.address()}});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  auto at = gateway.connect();
  REQUIRE(nodes_up(*at, 2));

  auto submitted = at->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  std::vector<std::int32_t> begun;
  for (int i = 0; i < 20; ++i) {
    auto next = (*submitted)->next(milliseconds(30'000));
    REQUIRE(next);
    REQUIRE(*next);
    begun.push_back((**next).id);
  }
  const bool at_left = gateway.log().find("attempt=1 worker=left") != std::string::npos;
  node& worker = at_left ? left : right;
  worker.process().signal(SIGKILL);
  REQUIRE(worker.process().wait(milliseconds(10'000)));
  const answer rest = read_all(**submitted);
  REQUIRE_MESSAGE(!rest.failure, rest.failure->text());
  CHECK(rest.report.attempts == 2);
  CHECK(rest.report.worker_node == (at_left ? "right" : "left"));
  begun.insert(begun.end(), rest.ids.begin(), rest.ids.end());
  CHECK(begun.size() == 1200);

  const answer undisturbed = ask(*at, long_job());
  REQUIRE(!undisturbed.failure);
  CHECK(undisturbed.report.attempts == 1);
  CHECK(undisturbed.ids == begun);
  const nlohmann::json status = status_of(*at);
  REQUIRE(part_of(status, at_left ? "left" : "right"));
  CHECK(part_of(status, at_left ? "left" : "right")->at("up") == false);
}

TEST_CASE("Redis killed mid-run: jobs go on, and the tier is used again when it is back") {
  redis_server redis;
  node only({.name = "only", .redis = redis.address()});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  const answer before = ask(*at, job_of("one"));
  REQUIRE_MESSAGE(!before.failure, before.failure->text());

  auto submitted = at->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  REQUIRE((*submitted)->next(milliseconds(30'000)));
  redis.process().signal(SIGKILL);
  redis.process().wait(milliseconds(10'000));
  const answer rest = read_all(**submitted);
  CHECK(!rest.failure);
  CHECK(rest.ids.size() == 1199);
  for (int i = 0; i < 5; ++i) {
    const answer without = ask(*at, job_of("without Redis " + std::to_string(i)));
    REQUIRE_MESSAGE(!without.failure, without.failure->text());
    CHECK(without.report.source == answer_source::computed);
  }
  CHECK(ask(*at, job_of("one")).report.source == answer_source::local_cache);

  redis.restart();
  CHECK(eventually([&] {
    const nlohmann::json status = status_of(*at);
    (void)ask(*at, job_of("again " + std::to_string(::rand())));
    for (const auto& tier : part_of(status, "only")->at("cache").at("tiers"))
      if (tier.at("name") == "redis" && tier.at("available") == true) return true;
    return false;
  }));
}

TEST_CASE("no Redis at the start: the node serves without it") {
  node only({.name = "only", .redis = "127.0.0.1:" + std::to_string(free_port())});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  const answer computed = ask(*at, job_of("one"));
  CHECK(!computed.failure);
  CHECK(ask(*at, job_of("one")).ids == computed.ids);
}

TEST_CASE("a client that disappears mid-stream: its sequence is freed") {
  struct silent : troupe::link::link_events {
    std::mutex guard;
    std::string node;
    bool token = false;
    void on_envelope(const troupe::link::peer_view&, troupe::link::envelope_ptr message) override {
      const std::lock_guard lock{guard};
      token |= message->has_job_tokens();
    }
    void on_peer_up(const troupe::link::peer_view& peer) override {
      const std::lock_guard lock{guard};
      node = peer.who.name;
    }
    void on_peer_down(const troupe::link::peer_view&, std::string,
                      std::vector<troupe::link::envelope_ptr>) override {}
  } events;
  node only({.name = "only", .detach_grace = "200ms"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto watcher = only.connect();
  {
    const std::string me = "client-that-goes";
    auto opened =
        troupe::link::endpoint::open({me, 1, troupe::link::peer_role::client}, {}, events);
    REQUIRE(opened);
    REQUIRE((*opened)->connect(only.address()));
    REQUIRE(eventually([&] {
      const std::lock_guard lock{events.guard};
      return !events.node.empty();
    }));
    auto message = std::make_shared<troupe::proto::Envelope>();
    message->mutable_sender()->set_node(me);
    message->mutable_sender()->set_actor("client");
    message->mutable_target()->set_node("only");
    message->mutable_target()->set_actor("gateway");
    message->set_correlation(1);
    troupe::proto::SubmitJob& submit = *message->mutable_submit_job();
    submit.set_job_id(troupe::client::make_uuid());
    submit.set_credit_tokens(8);
    submit.mutable_job()->set_model("tiny");
    submit.mutable_job()->set_text("I shall be gone");
    submit.mutable_job()->set_tokens_max(1000);
    submit.mutable_job()->set_ignore_end(true);
    submit.mutable_job()->mutable_sampling()->set_top_p(1);
    submit.mutable_job()->mutable_sampling()->set_repetition_penalty(1);
    REQUIRE((*opened)->send(message));
    REQUIRE(eventually([&] {
      const std::lock_guard lock{events.guard};
      return events.token;
    }));
    CHECK(eventually([&] { return running_at(*watcher, "only") == 1; }));
  }
  CHECK(eventually([&] { return running_at(*watcher, "only") == 0; }));
  CHECK(!ask(*watcher, job_of("the node still answers")).failure);
}

TEST_CASE("a stream that is dropped or cancelled frees its sequence") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect();
  {
    auto dropped = at->submit(long_job());
    REQUIRE_MESSAGE(dropped, dropped.failure().text());
    REQUIRE((*dropped)->next(milliseconds(30'000)));
  }
  CHECK(eventually([&] { return running_at(*at, "only") == 0; }));
  auto cancelled = at->submit(long_job());
  REQUIRE_MESSAGE(cancelled, cancelled.failure().text());
  REQUIRE((*cancelled)->next(milliseconds(30'000)));
  CHECK(at->cancel((*cancelled)->summary().job_id));
  const answer rest = read_all(**cancelled);
  CHECK(!rest.failure);
  CHECK(rest.report.reason == finish_reason::cancelled);
  CHECK(eventually([&] { return running_at(*at, "only") == 0; }));
}

TEST_CASE("a gateway that dies mid-stream and stays away: the client gets an error, not silence") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect({milliseconds(10'000), milliseconds(500)});
  auto submitted = at->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  only.process().signal(SIGKILL);
  only.process().wait(milliseconds(10'000));
  const answer cut = read_all(**submitted);
  REQUIRE(cut.failure);
  CHECK(cut.failure->code == troupe::error_code::unavailable);
  CHECK(!at->status_json(milliseconds(1'000)));
}

TEST_CASE("SIGTERM ends a node in order, also with a job running") {
  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  auto at = only.connect({milliseconds(10'000), milliseconds(500)});
  auto submitted = at->submit(long_job());
  REQUIRE_MESSAGE(submitted, submitted.failure().text());
  only.process().signal(SIGTERM);
  const auto code = only.process().wait(milliseconds(20'000));
  REQUIRE(code);
  CHECK(*code == 0);
  CHECK(only.log().find("node_stopped") != std::string::npos);
  CHECK(read_all(**submitted).failure);
}
