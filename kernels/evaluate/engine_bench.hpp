// Speed of an engine alone, measured as llama.cpp's llama-bench does, so that the two can be set
// side by side: a prompt of random tokens from an empty context, then, as a test of its own, single
// tokens from an empty context without sampling.
#pragma once

#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"

namespace troupe::kernels {

struct bench_request {
  std::uint32_t prompt_tokens = 512;   // 0 leaves the test out
  std::uint32_t generate_tokens = 64;  // 0 leaves the test out
  std::uint32_t repeat = 5;
  std::uint32_t step_tokens = 512;  // at most the engine's batch_tokens_max
};

struct bench_report {
  std::vector<double>
      prefill_tokens_per_second;  // one for each repetition; a first, unmeasured run warms up
  std::vector<double> decode_tokens_per_second;
  double prefill_median = 0;
  double decode_median = 0;
};

// Errors: invalid_argument (more tokens than the context holds, repeat 0), and what step() gives.
result<bench_report> bench(engine& on, const bench_request& request);

}  // namespace troupe::kernels
