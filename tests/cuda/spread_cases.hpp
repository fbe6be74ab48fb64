// Models over several GPUs, played or real, beside the processor's engine.
#pragma once

#include "tests/cuda/engine_cases.hpp"

namespace troupe::kernels::testing {

inline cuda_settings on(std::vector<int> devices) {
  cuda_settings out = small_device;
  out.devices = std::move(devices);
  return out;
}

// Prompts long enough to be cut into pieces, then decode steps that are recorded and replayed.
inline void compare_spread(const recipe& from, const cuda_settings& cuda, kv_type kv) {
  both_engines both(from, {.kv_bytes = 0, .kv = kv, .batch_tokens_max = 256}, cuda);
  std::vector<block_id> first(16), second(8);
  std::iota(first.begin(), first.end(), 9u);
  std::iota(second.begin(), second.end(), 0u);
  const std::vector<token_id> prompt = tokens_of(150, 1), other = tokens_of(20, 2);
  const sequence_step start[] = {{.tokens = prompt, .position = 0, .blocks = first, .hidden = true},
                                 {.tokens = other, .position = 0, .blocks = second, .best = 7}};
  CHECK(both.differences(start) == 0);
  for (std::uint32_t i = 0; i < 5; ++i) {
    const std::vector<token_id> a = tokens_of(1, 50 + i), b = tokens_of(1, 70 + i);
    const sequence_step decode[] = {{.tokens = a, .position = 150 + i, .blocks = first, .best = 64},
                                    {.tokens = b, .position = 20 + i, .blocks = second}};
    CHECK(both.differences(decode) == 0);
  }
  const sequence_step quiet{.tokens = other, .position = 25, .blocks = second, .no_logits = true};
  CHECK(both.differences({&quiet, 1}) == 0);
}

}  // namespace troupe::kernels::testing
