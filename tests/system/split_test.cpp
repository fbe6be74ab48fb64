// A model whose last layers another node computes.
#include <doctest/doctest.h>
#include <signal.h>

#include <thread>
#include <vector>

#include "nodes.hpp"

using namespace system_test;

namespace {

// Room for stages, and for no whole model.
constexpr const char* no_model_fits = "  memory_max: 1KiB\n";

std::uint64_t model_weights(troupe::client::cluster& at, const std::string& node) {
  const nlohmann::json status = status_of(at);
  const nlohmann::json* part = part_of(status, node);
  if (part == nullptr) return 0;
  for (const auto& model : (*part)["models"])
    if (model.at("state") == "ready") return model.value("weight_bytes", std::uint64_t{0});
  return 0;
}

}  // namespace

TEST_CASE("a model in parts on two nodes gives the answers of the whole one") {
  node whole({.name = "whole"});
  REQUIRE_MESSAGE(whole.ready(), whole.errors());
  auto at_whole = whole.connect();
  troupe::client::job job = job_of("in parts", 40);
  job.cache_bypass = true;
  const answer expected = ask(*at_whole, job);
  REQUIRE_MESSAGE(!expected.failure, expected.failure->text());

  node tail({.name = "tail", .has_model = false, .models = no_model_fits});
  REQUIRE_MESSAGE(tail.ready(), tail.errors());
  node head({.name = "head", .peers = {tail.address()}, .models = "  split: [\"tiny:tail=1\"]\n"});
  REQUIRE_MESSAGE(head.ready(), head.errors());
  auto at_head = head.connect();
  answer got;
  REQUIRE(eventually([&] {
    got = ask(*at_head, job);
    return !got.failure;
  }));
  CHECK(got.ids == expected.ids);
  CHECK(got.report.worker_node == "head");
  CHECK(got.report.numerics_class == expected.report.numerics_class);
  CHECK(model_weights(*at_head, "head") < model_weights(*at_whole, "whole"));
  CHECK(model_weights(*at_head, "head") > 0);
  CHECK(tail.log().find("stage_opened") != std::string::npos);

  // Several at once, sampled, and an embedding's rows come through the same way.
  job.sampling.temperature = 0.9f;
  job.sampling.seed = 5;
  const answer sampled = ask(*at_whole, job);
  REQUIRE(!sampled.failure);
  CHECK(ask(*at_head, job).ids == sampled.ids);
}

TEST_CASE("a job goes on when the node that computes its model's last layers dies and returns") {
  node whole({.name = "whole"});
  REQUIRE_MESSAGE(whole.ready(), whole.errors());
  troupe::client::job job = job_of("the tail dies", 200);
  job.cache_bypass = true;
  job.ignore_end = true;
  const answer expected = ask(*whole.connect(), job);
  REQUIRE_MESSAGE(!expected.failure, expected.failure->text());

  const std::string listen = "tcp://127.0.0.1:" + std::to_string(free_port());
  node tail({.name = "tail", .has_model = false, .listen = listen, .models = no_model_fits});
  REQUIRE_MESSAGE(tail.ready(), tail.errors());
  node head({.name = "head", .peers = {tail.address()}, .models = "  split: [\"tiny:tail=1\"]\n"});
  REQUIRE_MESSAGE(head.ready(), head.errors());
  auto at_head = head.connect();
  REQUIRE(eventually([&] { return !ask(*at_head, job_of("warm")).failure; }));

  auto stream = at_head->submit(job);
  REQUIRE(stream.ok());
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 20; ++i) {
    auto token = (*stream)->next(milliseconds(20'000));
    REQUIRE(token.ok());
    REQUIRE(token->has_value());
    ids.push_back((*token)->id);
  }
  tail.kill();
  tail.start_again();
  REQUIRE_MESSAGE(tail.ready(), tail.errors());
  const answer rest = read_all(**stream);
  REQUIRE_MESSAGE(!rest.failure, rest.failure->text());
  ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
  CHECK(ids == expected.ids);
  CHECK(head.log().find("engine_lost") != std::string::npos);
}

TEST_CASE(
    "two nodes compute each other's last layers at once, and none waits for the other's wait") {
  node whole({.name = "whole"});
  REQUIRE_MESSAGE(whole.ready(), whole.errors());
  const std::string left_at = "tcp://127.0.0.1:" + std::to_string(free_port()),
                    right_at = "tcp://127.0.0.1:" + std::to_string(free_port());
  node left({.name = "left",
             .peers = {right_at},
             .preloads = true,
             .listen = left_at,
             .models = "  split: [\"tiny:right=1\"]\n"});
  node right({.name = "right",
              .peers = {left_at},
              .preloads = true,
              .listen = right_at,
              .models = "  split: [\"tiny:left=1\"]\n"});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  REQUIRE_MESSAGE(right.ready(), right.errors());
  REQUIRE_MESSAGE(model_ready(*left.connect(), "left"), left.log());  // which comes first waits
  REQUIRE_MESSAGE(model_ready(*right.connect(), "right"), right.log());
  std::vector<std::thread> threads;
  std::vector<answer> answers(8);
  for (std::size_t i = 0; i < answers.size(); ++i)
    threads.emplace_back([&, i] {
      troupe::client::job job = job_of("both ways " + std::to_string(i / 2), 60);
      job.cache_bypass = true;
      answers[i] = ask(*(i % 2 == 0 ? left : right).connect(), job);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    REQUIRE_MESSAGE(!answers[i].failure, answers[i].failure->text());
    troupe::client::job job = job_of("both ways " + std::to_string(i / 2), 60);
    CHECK(answers[i].ids == ask(*whole.connect(), job).ids);
  }
  CHECK(left.log().find("stage_opened") != std::string::npos);
  CHECK(right.log().find("stage_opened") != std::string::npos);
}

TEST_CASE("a part whose node stands still is given up when the others take that node for lost") {
  node whole({.name = "whole"});
  REQUIRE_MESSAGE(whole.ready(), whole.errors());
  troupe::client::job job = job_of("the tail stands still", 150);
  job.cache_bypass = true;
  const answer expected = ask(*whole.connect(), job);
  REQUIRE_MESSAGE(!expected.failure, expected.failure->text());
  node tail({.name = "tail", .has_model = false, .models = no_model_fits});
  REQUIRE_MESSAGE(tail.ready(), tail.errors());
  node head({.name = "head", .peers = {tail.address()}, .models = "  split: [\"tiny:tail=1\"]\n"});
  REQUIRE_MESSAGE(head.ready(), head.errors());
  auto at_head = head.connect();
  REQUIRE(eventually([&] { return !ask(*at_head, job_of("warm")).failure; }));
  auto stream = at_head->submit(job);
  REQUIRE(stream.ok());
  tail.process().signal(SIGSTOP);
  const bool lost = eventually([&] { return head.log().find("engine_lost") != std::string::npos; });
  tail.process().signal(SIGCONT);
  CHECK(lost);  // long before stages.step_wait
  const answer got = read_all(**stream);
  REQUIRE_MESSAGE(!got.failure, got.failure->text());
  CHECK(got.ids == expected.ids);
}
