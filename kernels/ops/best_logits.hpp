// The best of a row of logits, and what log-softmax needs of the others: what a sampler reads that
// draws among the best alone.
//
// Order: numbers that are not finite, then the larger logit; the lower id at a tie (-0 equals 0).
// So a row is whole where its first is finite. Threading: pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ops/elementwise.hpp"

namespace troupe::kernels {

inline constexpr std::uint32_t best_logits_max = 64;

struct token_logit {
  std::int32_t id = 0;
  float logit = 0;
};

struct best_logits {
  // In the order above; of a row that is not finite, its first such number alone.
  std::vector<token_logit> tokens;
  // exp(logit - the first's), over the whole row, in the order of `exponentials`; 0 where the first
  // is not finite.
  double exponential_sum = 0;
};

bool all_finite(std::span<const float> row);

// The `count` best, or all where the row is shorter.
best_logits best_of(std::span<const float> row, std::uint32_t count, const elementwise_ops& ops);

}  // namespace troupe::kernels
