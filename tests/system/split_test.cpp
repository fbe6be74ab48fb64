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

constexpr const char* last_at_tail = "  split: [\"tiny:tail=1\"]\n";

// What a node with the whole model answers.
answer by_the_whole(const troupe::client::job& job) {
  static node whole({.name = "whole"});
  REQUIRE_MESSAGE(whole.ready(), whole.errors());
  answer got = ask(*whole.connect(), job);
  REQUIRE_MESSAGE(!got.failure, got.failure->text());
  return got;
}

// A head whose last layer the tail has, when it has answered once.
struct in_parts {
  explicit in_parts(const std::string& tail_listens = "tcp://127.0.0.1:0")
      : tail({.name = "tail", .has_model = false, .listen = tail_listens, .models = no_model_fits}),
        head({.name = "head", .peers = {tail.address()}, .models = last_at_tail}) {
    REQUIRE_MESSAGE(tail.ready(), tail.errors());
    REQUIRE_MESSAGE(head.ready(), head.errors());
    at_head = head.connect();
    REQUIRE(eventually([&] { return !ask(*at_head, job_of("warm")).failure; }));
  }
  node tail, head;
  std::unique_ptr<troupe::client::cluster> at_head;
};

troupe::client::job uncached(const std::string& prompt, std::uint32_t tokens) {
  troupe::client::job job = job_of(prompt, tokens);
  job.cache_bypass = true;
  return job;
}

}  // namespace

TEST_CASE("a model in parts on two nodes gives the answers of the whole one") {
  troupe::client::job job = uncached("in parts", 40);
  const answer expected = by_the_whole(job);
  const in_parts both;
  const answer got = ask(*both.at_head, job);
  REQUIRE_MESSAGE(!got.failure, got.failure->text());
  CHECK(got.ids == expected.ids);
  CHECK(got.report.worker_node == "head");
  CHECK(got.report.numerics_class == expected.report.numerics_class);
  node whole({.name = "beside"});
  auto at_whole = whole.connect();
  REQUIRE(!ask(*at_whole, job).failure);
  CHECK(model_weights(*at_whole, "beside") > model_weights(*both.at_head, "head"));
  CHECK(model_weights(*both.at_head, "head") > 0);
  nlohmann::json shown;
  CHECK(eventually([&] {
    const nlohmann::json status = status_of(*both.at_head);
    if (const nlohmann::json* part = part_of(status, "tail")) shown = (*part)["stages"];
    return shown.size() == 1 && shown[0]["steps"].get<std::uint64_t>() > 40;
  }));
  REQUIRE(shown.size() == 1);
  CHECK(shown[0]["head"] == "head");
  CHECK(shown[0]["layer_first"] == 1);

  // Whole rows of logits, and hidden rows, pass between the nodes as well.
  job.sampling.temperature = 0.9f;
  job.sampling.seed = 5;
  CHECK(ask(*both.at_head, job).ids == by_the_whole(job).ids);
  troupe::client::job reading = uncached("What is read is not answered", 0);
  reading.ignore_end = false;
  reading.embed = true;
  const answer embedded = ask(*both.at_head, reading);
  REQUIRE_MESSAGE(!embedded.failure, embedded.failure->text());
  CHECK(embedded.report.embedding.size() > 1);
  CHECK(embedded.report.embedding == by_the_whole(reading).report.embedding);
  reading.embed = false;
  reading.score = true;
  const answer scored = ask(*both.at_head, reading);
  REQUIRE_MESSAGE(!scored.failure, scored.failure->text());
  CHECK(scored.report.prompt_log_probabilities.size() > 1);
  CHECK(scored.report.prompt_log_probabilities ==
        by_the_whole(reading).report.prompt_log_probabilities);
}

TEST_CASE("a job goes on when the node that computes its model's last layers dies and returns") {
  const troupe::client::job job = uncached("the tail dies", 800);
  const answer expected = by_the_whole(job);
  in_parts both("tcp://127.0.0.1:" + std::to_string(free_port()));
  auto stream = both.at_head->submit(job);
  REQUIRE(stream.ok());
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 20; ++i) {
    auto token = (*stream)->next(milliseconds(20'000));
    REQUIRE(token.ok());
    REQUIRE(token->has_value());
    ids.push_back((*token)->id);
  }
  both.tail.kill();
  both.tail.start_again();
  REQUIRE_MESSAGE(both.tail.ready(), both.tail.errors());
  const answer rest = read_all(**stream);
  REQUIRE_MESSAGE(!rest.failure, rest.failure->text());
  ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
  CHECK(ids == expected.ids);
  CHECK(both.head.log().find("engine_lost") != std::string::npos);
}

TEST_CASE(
    "two nodes compute each other's last layers at once, and none waits for the other's wait") {
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
      answers[i] = ask(*(i % 2 == 0 ? left : right).connect(),
                       uncached("both ways " + std::to_string(i / 2), 60));
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    REQUIRE_MESSAGE(!answers[i].failure, answers[i].failure->text());
    CHECK(answers[i].ids == by_the_whole(uncached("both ways " + std::to_string(i / 2), 60)).ids);
  }
  CHECK(left.log().find("stage_opened") != std::string::npos);
  CHECK(right.log().find("stage_opened") != std::string::npos);
}

TEST_CASE("a part whose node stands still is given up when the others take that node for lost") {
  const troupe::client::job job = uncached("the tail stands still", 800);
  const answer expected = by_the_whole(job);
  in_parts both;
  auto stream = both.at_head->submit(job);
  REQUIRE(stream.ok());
  both.tail.process().signal(SIGSTOP);
  const bool lost =
      eventually([&] { return both.head.log().find("engine_lost") != std::string::npos; });
  both.tail.process().signal(SIGCONT);
  CHECK(lost);  // long before stages.step_wait
  const answer got = read_all(**stream);
  REQUIRE_MESSAGE(!got.failure, got.failure->text());
  CHECK(got.ids == expected.ids);
}
