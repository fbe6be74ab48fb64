// Memory and places among sequences; biases, alternatives and embeddings.
#include <doctest/doctest.h>

#include <limits>

#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

bench ready(inference_settings settings = {}, std::uint32_t blocks = 64,
            std::uint32_t context = 128) {
  bench b{settings};
  b.add_model("model", blocks, context);
  b.others.clear();
  return b;
}

}  // namespace

TEST_CASE("when memory runs out the last in standing gives way, and sends nothing twice") {
  bench b = ready({}, 5, 128);
  const job_wish first{.id = "first", .prompt = {1, 2}, .tokens_max = 70},
      second{.id = "second", .prompt = {3, 4}, .tokens_max = 40};
  b.say(start_message(first));
  b.say(start_message(second));
  b.run();
  CHECK(b.core.engines().at("model").preemptions > 0);
  CHECK(b.refusals.empty());
  for (const auto& job : {first, second}) {
    CHECK(b.of(job).broken.empty());
    CHECK(b.of(job).ids == alone(job, 64, 128).ids);
  }
}

TEST_CASE("who only waits for credit gives its memory to others after a while, and goes on later") {
  bench b = ready({}, 4, 128);
  const std::vector<kernels::token_id> prompt(40, 9);
  const job_wish stalled{.id = "stalled", .prompt = prompt, .tokens_max = 10, .credit = 1};
  b.say(start_message(stalled));
  b.run();
  const job_wish next{.id = "next", .prompt = {5}, .tokens_max = 40};
  b.now += std::chrono::seconds{1};
  b.say(start_message(next));
  b.run();
  CHECK(b.of(next).ids.size() == 40);
  CHECK(b.core.engines().at("model").preemptions == 1);
  b.say(grant_message(stalled, 100));
  b.run();
  CHECK(b.of(stalled).ids == alone(stalled, 64, 128).ids);
}

TEST_CASE("urgent comes before normal, normal before background") {
  inference_settings settings;
  settings.sequences_running_max = 1;
  bench b = ready(settings);
  std::vector<job_wish> jobs;
  for (const auto priority :
       {proto::PRIORITY_BACKGROUND, proto::PRIORITY_NORMAL, proto::PRIORITY_URGENT}) {
    jobs.push_back({.id = "job-" + std::to_string(jobs.size()), .tokens_max = 5});
    jobs.back().priority = priority;
    b.say(start_message(jobs.back()));
  }
  std::vector<std::size_t> ended;
  while (b.core.has_work() && b.turn())
    for (std::size_t i = 0; i < jobs.size(); ++i)
      if (b.of(jobs[i]).ended() && std::find(ended.begin(), ended.end(), i) == ended.end())
        ended.push_back(i);
  CHECK(ended == std::vector<std::size_t>{2, 1, 0});
}

TEST_CASE("pieces of prompts are bounded while others decode") {
  inference_settings settings;
  settings.prefill_chunk_max = 6;
  bench b = ready(settings, 256, 256);
  const job_wish decoding{.id = "decoding", .tokens_max = 30};
  b.say(start_message(decoding));
  b.turn();
  const job_wish wish{.id = "long", .prompt = std::vector<kernels::token_id>(100, 3)};
  b.say(start_message(wish));
  const auto batch = b.core.plan(b.now);
  REQUIRE(batch);
  REQUIRE(batch->steps.size() == 2);
  CHECK(batch->steps[0].tokens.size() == 1);
  CHECK(batch->steps[1].tokens.size() == 6);
}

TEST_CASE("two equal prompts at once are computed once") {
  bench b = ready();
  job_wish one{.id = "one", .prompt = std::vector<kernels::token_id>(50, 3), .tokens_max = 3};
  job_wish two = one;
  two.id = "two";
  b.say(start_message(one));
  b.say(start_message(two));
  b.run();
  CHECK(b.of(one).ids == b.of(two).ids);
  CHECK(b.of(one).finished->prefix_tokens() + b.of(two).finished->prefix_tokens() == 48);
  CHECK(b.engines["model"]->tokens_seen == 50 + 2 + 2 + 2);
}

TEST_CASE("logit_bias changes the draw; its bounds are told") {
  bench b = ready();
  job_wish forced{.id = "forced", .tokens_max = 5};
  forced.bias = {{7, 100.0f}};
  b.say(start_message(forced));
  b.run();
  CHECK(b.of(forced).ids == std::vector<kernels::token_id>(5, 7));
  const auto refused_for = [&](std::vector<std::pair<kernels::token_id, float>> bias) {
    job_wish job{.id = "refused-" + std::to_string(b.by_attempt.size())};
    job.bias = std::move(bias);
    b.say(start_message(job));
    REQUIRE(b.of(job).failed);
    return b.of(job).failed->error().message();
  };
  CHECK(refused_for({{32, 1.0f}}).find("32") != std::string::npos);
  CHECK(refused_for({{3, 101.0f}}).find("101") != std::string::npos);
  CHECK(refused_for({{3, std::numeric_limits<float>::quiet_NaN()}}).find("nan") !=
        std::string::npos);
  CHECK(refused_for({{3, 1.0f}, {3, 2.0f}}).find("token 3") != std::string::npos);
}

TEST_CASE("alternatives are the most probable tokens, best first, and bounded") {
  bench b = ready();
  job_wish job{.tokens_max = 4};
  job.alternatives = 3;
  b.say(start_message(job));
  b.run();
  const heard& h = b.of(job);
  REQUIRE(h.alternatives.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    proto::TokenAlternatives others;
    REQUIRE(others.ParseFromString(h.alternatives[i]));
    REQUIRE(others.ids_size() == 3);
    CHECK(others.ids(0) == h.ids[i]);  // greedy
    CHECK(others.log_probabilities(0) == h.log_probabilities[i]);
    CHECK(others.log_probabilities(0) >= others.log_probabilities(1));
    CHECK(others.log_probabilities(1) >= others.log_probabilities(2));
  }
  CHECK(h.token_bytes.empty());
  job.id = "named";
  job.token_bytes = true;
  b.say(start_message(job));
  b.run();
  const heard& named = b.of(job);
  REQUIRE(named.token_bytes.size() == 4);
  std::string joined;
  for (std::size_t i = 0; i < 4; ++i) {
    proto::TokenAlternatives others;
    REQUIRE(others.ParseFromString(named.alternatives[i]));
    REQUIRE(others.token_bytes_size() == 3);
    CHECK(others.token_bytes(0) == named.token_bytes[i]);
    CHECK(others.token_bytes(1) == letters{}.piece(others.ids(1), true));
    joined += named.token_bytes[i];
  }
  CHECK(joined == named.whole_text());
  job.id = "many";
  job.alternatives = 21;
  b.say(start_message(job));
  CHECK(b.of(job).failed->error().message().find("21") != std::string::npos);
}

TEST_CASE("an embedding is one pass, of unit length, and the same in whatever pieces") {
  std::vector<std::vector<float>> seen;
  for (const std::uint32_t chunk : {1u, 7u, 512u}) {
    inference_settings settings;
    settings.batch_tokens_max = chunk;
    bench b = ready(settings);
    job_wish job{.prompt = {}, .credit = 0};
    for (int i = 0; i < 45; ++i) job.prompt.push_back(1 + i * 7 % 31);
    job.embed = true;
    b.say(start_message(job));
    b.run();
    const heard& h = b.of(job);
    REQUIRE(h.finished);
    CHECK(h.ids.empty());
    CHECK(h.finished->reason() == proto::LENGTH);
    CHECK(b.engines["model"]->tokens_seen == 45);
    seen.emplace_back(h.finished->embedding().begin(), h.finished->embedding().end());
    double squares = 0;
    for (const float value : seen.back()) squares += double{value} * value;
    CHECK(squares == doctest::Approx(1.0));
  }
  CHECK(seen[0].size() == 3);
  CHECK(seen[0] == seen[1]);
  CHECK(seen[0] == seen[2]);
}

TEST_CASE("who gave way while it waited for credit comes back with credit, not before") {
  inference_settings settings;
  settings.stall_grace = std::chrono::milliseconds{0};
  bench b = ready(settings, 4, 128);
  std::vector<job_wish> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back({.id = "job-" + std::to_string(i),
                    .prompt = std::vector<kernels::token_id>(40, 1 + i),
                    .tokens_max = 5,
                    .credit = 0});
    b.say(start_message(jobs.back()));
  }
  b.run();
  CHECK_FALSE(b.core.has_work());
  CHECK(b.core.engines().at("model").preemptions == 2);
  for (const job_wish& job : jobs) b.say(grant_message(job, 10));
  b.run();
  for (const job_wish& job : jobs) CHECK(b.of(job).ids == alone(job, 64, 128).ids);
}

TEST_CASE("a tenant that was away earns nothing by it, and what is remembered is bounded") {
  fair_share shares{3};
  shares.join("busy");
  shares.charge("busy", 100);
  shares.join("new");
  CHECK(shares.served("new") == 100);
  shares.charge("new", 50);
  shares.leave("new");
  shares.join("new");
  CHECK(shares.served("new") == 150);
  for (int i = 0; i < 10; ++i) {
    const std::string name = "short-" + std::to_string(i);
    shares.join(name);
    shares.charge(name, 10);
    shares.leave(name);
  }
  CHECK(shares.size() <= 4);
  shares.leave("new");
  shares.leave("busy");
  CHECK(shares.size() == 0);
}

TEST_CASE("names of prefixes chain over model, class and tokens") {
  std::vector<kernels::token_id> ids(40);
  for (int i = 0; i < 40; ++i) ids[static_cast<std::size_t>(i)] = i % 30;
  std::vector<prefix_name> names, other, grown;
  extend_prefix_names(names, prefix_root("digest", "cpu-1"), ids);
  CHECK(names.size() == 2);
  extend_prefix_names(other, prefix_root("digest", "cpu-1-kv8"), ids);
  CHECK(names[0] != other[0]);
  extend_prefix_names(grown, prefix_root("digest", "cpu-1"), std::span(ids).first(20));
  extend_prefix_names(grown, prefix_root("digest", "cpu-1"), ids);
  CHECK(grown == names);
  ids[3] = 31;
  other.clear();
  extend_prefix_names(other, prefix_root("digest", "cpu-1"), ids);
  CHECK(other[1] != names[1]);

  bench b = ready();
  job_wish job{.prompt = ids, .tokens_max = 1};
  b.say(start_message(job));
  b.run();
  std::vector<prefix_name> held = b.core.prefixes(10), expected;
  extend_prefix_names(expected, prefix_root("model", "fake-1"), ids);
  std::sort(held.begin(), held.end());
  std::sort(expected.begin(), expected.end());
  CHECK(held == expected);
}
