// Steps of a single sequence with blocks from a pool, for callers that have one sequence at a time.
#pragma once

#include <span>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/kv/block_pool.hpp"

namespace troupe::kernels {

// One step: `tokens` from `position` on; blocks are taken as they are needed. Logits of the last
// token, or of all. Errors: resource_exhausted (no block is left), and what step() gives.
result<step_logits> extend(engine& on, std::span<const token_id> tokens, std::uint32_t position,
                           block_pool& pool, std::vector<block_id>& blocks,
                           bool all_logits = false);

// A whole prompt from position 0 in steps of at most step_tokens; logits of its last token.
result<step_logits> prefill(engine& on, std::span<const token_id> prompt, std::uint32_t step_tokens,
                            block_pool& pool, std::vector<block_id>& blocks);

}  // namespace troupe::kernels
