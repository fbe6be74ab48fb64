#include "kernels/evaluate/prefill.hpp"

#include <algorithm>
#include <string>

namespace troupe::kernels {
namespace {

result<step_logits> run(engine& on, sequence_step step, block_pool& pool,
                        std::vector<block_id>& blocks) {
  const std::uint64_t end = std::uint64_t{step.position} + step.tokens.size();
  if (!pool.extend(blocks, end))
    return error{error_code::resource_exhausted,
                 "the KV store of " + std::to_string(pool.size()) + " blocks holds no " +
                     std::to_string(end) + " positions",
                 "raise the bound of the KV store or shorten the text"};
  step.blocks = blocks;
  return on.step(std::span(&step, 1));
}

}  // namespace

result<step_logits> extend(engine& on, std::span<const token_id> tokens, std::uint32_t position,
                           block_pool& pool, std::vector<block_id>& blocks, bool all_logits) {
  return run(on, {.tokens = tokens, .position = position, .blocks = {}, .all_logits = all_logits},
             pool, blocks);
}

result<step_logits> prefill(engine& on, std::span<const token_id> prompt, std::uint32_t step_tokens,
                            block_pool& pool, std::vector<block_id>& blocks) {
  const std::size_t most = std::max(1u, step_tokens);
  for (std::size_t at = 0;; at += most) {
    const bool last = prompt.size() - at <= most;
    auto logits = run(on,
                      {.tokens = prompt.subspan(at, last ? prompt.size() - at : most),
                       .position = static_cast<std::uint32_t>(at),
                       .blocks = {},
                       .no_logits = !last},
                      pool, blocks);
    if (last || !logits) return logits;
  }
}

}  // namespace troupe::kernels
