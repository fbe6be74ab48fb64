// Random jobs and settings for the inference core's properties.
#pragma once

#include <rapidcheck.h>

#include <vector>

#include "tests/unit/actors/fakes.hpp"

namespace troupe::fakes {

inline constexpr std::uint32_t context = 96;

// Uniform whatever rapidcheck's size is.
template <class Number>
Number pick(Number low, Number high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<Number>(low, high));
}

// Many prompts begin alike.
inline std::vector<kernels::token_id> random_prompt() {
  const auto stem = *rc::gen::element<kernels::token_id>(1, 2);
  std::vector<kernels::token_id> prompt(pick<std::size_t>(0, 40), stem);
  const auto rest = *rc::gen::container<std::vector<kernels::token_id>>(pick<std::size_t>(1, 20),
                                                                        rc::gen::inRange(1, 32));
  prompt.insert(prompt.end(), rest.begin(), rest.end());
  return prompt;
}

inline job_wish random_job(int number) {
  job_wish job;
  job.id = "job-" + std::to_string(number);
  job.gateway = *rc::gen::element<std::string>("gate-1", "gate-2");
  job.prompt = random_prompt();
  job.tokens_max = pick<std::uint32_t>(0, 24);
  job.temperature = *rc::gen::element(0.0f, 0.7f, 1.5f);
  job.seed = pick<std::uint64_t>(0, 1000);
  job.ignore_end = *rc::gen::arbitrary<bool>();
  job.credit = pick<std::uint32_t>(0, 6);
  job.tenant = *rc::gen::element<std::string>("ann", "bob", "");
  job.priority =
      *rc::gen::element(proto::PRIORITY_NORMAL, proto::PRIORITY_BACKGROUND, proto::PRIORITY_URGENT);
  job.alternatives = *rc::gen::element(0u, 3u);
  const int reads = pick(0, 9);
  job.embed = reads == 0;
  job.score = reads == 1;
  job.token_bytes = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) job.bias = {{3, -50.0f}, {7, 4.5f}};
  if (*rc::gen::arbitrary<bool>())
    job.stop = *rc::gen::container<std::vector<std::string>>(
        2, rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('a', 'd'))));
  return job;
}

inline inference_settings random_settings() {
  inference_settings settings;
  settings.batch_tokens_max = pick<std::uint32_t>(1, 48);
  settings.batch_sequences_max = pick<std::uint32_t>(1, 8);
  settings.prefill_chunk_max = pick<std::uint32_t>(1, 48);
  settings.sequences_running_max = pick<std::uint32_t>(1, 6);
  settings.batching = pick(0, 8) > 0;
  settings.batch_wait = std::chrono::milliseconds{*rc::gen::element(0, 50)};
  settings.ageing = std::chrono::milliseconds{*rc::gen::element(0, 20, 10'000)};
  settings.stall_grace = std::chrono::milliseconds{*rc::gen::element(0, 10)};
  return settings;
}

// The same answer, whatever ran beside it.
inline void check_same(const heard& got, const heard& expected) {
  RC_ASSERT(got.broken.empty());
  RC_ASSERT(got.ids == expected.ids);
  RC_ASSERT(got.log_probabilities == expected.log_probabilities);
  RC_ASSERT(got.alternatives == expected.alternatives);
  RC_ASSERT(got.token_bytes == expected.token_bytes);
  RC_ASSERT(got.whole_text() == expected.whole_text());
  RC_ASSERT(got.finished.has_value());
  RC_ASSERT(got.finished->reason() == expected.finished->reason());
  RC_ASSERT(got.finished->running_hash() == expected.finished->running_hash());
  const auto& scores = got.finished->prompt_log_probabilities();
  const auto& same = expected.finished->prompt_log_probabilities();
  RC_ASSERT(std::equal(scores.begin(), scores.end(), same.begin(), same.end()));
  RC_ASSERT(
      std::vector(got.finished->embedding().begin(), got.finished->embedding().end()) ==
      std::vector(expected.finished->embedding().begin(), expected.finished->embedding().end()));
}

}  // namespace troupe::fakes
