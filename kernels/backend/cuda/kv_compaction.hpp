// When blocks of a paged KV store should move together, and which: so that its end can be given
// back, or its used part copied in long runs.
//
// Pure. A store's fragmentation is the share of free blocks before its last used one. Moves take
// the last used blocks to the first free ones, each block at most once, until the fragmentation is
// below the limit.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels::cuda {

inline constexpr double kv_fragmentation_max = 0.15;

struct kv_move {
  block_id from = 0, to = 0;
  friend bool operator==(const kv_move&, const kv_move&) = default;
};

// used[id]: block `id` holds something.
double kv_fragmentation(const std::vector<bool>& used);

// Empty where the fragmentation is below the limit already.
std::vector<kv_move> plan_compaction(std::vector<bool> used, double limit = kv_fragmentation_max);

}  // namespace troupe::kernels::cuda
