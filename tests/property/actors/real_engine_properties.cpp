// The inference core over the real engine and a small random model: sharing, preemption and chunks
// must leave every bit of an answer as it was.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/evaluate/prefill.hpp"
#include "kernels/sampler/sampler.hpp"
#include "tests/property/actors/real_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;

TEST_CASE(
    "real engine: found prefixes, preemption, batches and chunks change no bit of an answer") {
  std::uint64_t preempted = 0, found = 0;
  CHECK(rc::check("real interleaving", [&] {
    inference_settings settings = random_settings();
    settings.kv = *rc::gen::element(kernels::kv_type::f16, kernels::kv_type::q8_0);
    real_bench b{settings, small_engine(pick<std::uint64_t>(6, 12), settings.kv)};
    std::vector<job_wish> jobs;
    for (int i = pick(2, 6); i > 0; --i) {
      job_wish job = random_job(i);
      job.credit = 1000;
      b.say(start_message(job));
      jobs.push_back(job);
      for (int turns = pick(0, 8); turns > 0; --turns) b.step_once();
    }
    b.finish();
    for (const job_wish& job : jobs) check_same(b.of(job), alone_for_real(job, settings.kv));
    const auto [available, all] = b.core.blocks_of("model");
    RC_ASSERT(available == all);
    preempted += b.core.engines().at("model").preemptions;
    found += b.core.engines().at("model").prefix_tokens_hit;
  }));
  CHECK(preempted > 0);
  CHECK(found > 0);
}

// What `troupe model perplexity` does with a chunk, from its first token on.
std::vector<float> evaluated(const std::vector<kernels::token_id>& tokens, kernels::kv_type kv,
                             std::size_t step_tokens) {
  auto made = kernels::make_cpu_engine(small_model().get(), {.threads = 1, .kv = kv});
  REQUIRE(made.ok());
  kernels::block_pool pool((*made)->description().kv_blocks);
  std::vector<kernels::block_id> blocks;
  std::vector<float> scores;
  for (std::size_t at = 0; at + 1 < tokens.size(); at += step_tokens) {
    const std::size_t count = std::min(step_tokens, tokens.size() - 1 - at);
    const auto logits = kernels::extend(**made, std::span(tokens).subspan(at, count),
                                        static_cast<std::uint32_t>(at), pool, blocks, true);
    REQUIRE(logits.ok());
    for (std::size_t i = 0; i < count; ++i)
      scores.push_back(static_cast<float>(kernels::log_probability(
          logits->values.subspan(i * letters::size, letters::size), tokens[at + i + 1])));
  }
  return scores;
}

TEST_CASE(
    "real engine: a score is what the evaluation computes, bit for bit, beside whatever runs") {
  CHECK(rc::check("scores", [] {
    inference_settings settings = random_settings();
    settings.kv = *rc::gen::element(kernels::kv_type::f16, kernels::kv_type::q8_0);
    settings.score_bytes_max = letters::size * sizeof(float) * pick<std::uint64_t>(1, 40);
    real_bench b{settings, small_engine(12, settings.kv)};
    std::vector<job_wish> jobs;
    for (int i = pick(1, 5); i > 0; --i) {
      jobs.push_back(random_job(i));
      jobs.back().credit = 1000;
      jobs.back().embed = false;
      jobs.back().score = i % 2 == 1;
      b.say(start_message(jobs.back()));
      for (int turns = pick(0, 6); turns > 0; --turns) b.step_once();
    }
    b.finish();
    for (const job_wish& job : jobs) {
      if (!job.score) continue;
      const auto& given = b.of(job).finished->prompt_log_probabilities();
      RC_ASSERT(std::vector<float>(given.begin(), given.end()) ==
                evaluated(job.prompt, settings.kv, pick<std::size_t>(1, 64)));
    }
  }));
}
