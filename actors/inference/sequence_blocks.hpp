// A sequence's KV blocks in a pool that shares equal prefixes, with host memory behind it. Pure.
//
// Only full blocks are shared, and a sequence's last token is always computed, since its logits are
// wanted; so a shared block is never written again.
#pragma once

#include <cstdint>

#include "actors/inference/sequence.hpp"
#include "kernels/kv/tiered_blocks.hpp"

namespace troupe {

// The leading blocks of `s` that the pool has, beyond those it holds.
std::vector<kernels::block_id> find_known_blocks(const sequence& s,
                                                 const kernels::tiered_blocks& kv);

// Goes on over the blocks that the pool has: they count as computed. A block that `s` had taken for
// itself is given back. Returns how many of the tokens are of the prompt and new to the sequence.
std::uint32_t take_known_blocks(sequence& s, kernels::tiered_blocks& kv);

// Goes on over the blocks that host memory has, as far as copies can begin: each is brought into
// the one that `s` has taken for it. Returns the same.
std::uint32_t bring_back_blocks(sequence& s, kernels::tiered_blocks& kv);
// Whether its next block is there still: it waits for a copy that can begin.
bool awaits_blocks(const sequence& s, const kernels::tiered_blocks& kv);

// Names the blocks that have been computed to their end; where another sequence was faster, its
// block is used.
void publish_blocks(sequence& s, kernels::tiered_blocks& kv);

// Gives all blocks back; what they held has to be computed again, or found.
void release_blocks(sequence& s, kernels::tiered_blocks& kv);

struct released_blocks {
  std::uint32_t freed = 0;
  std::uint32_t kept = 0;  // held of these tokens, but in use, or followed by what another text has
};
// Frees what pool and host memory hold of these tokens from their end on, up to the first block
// that somebody uses or that another text shares. A second call finds nothing to free.
released_blocks forget_blocks(std::span<const kernels::token_id> ids, prefix_name root,
                              kernels::tiered_blocks& kv);

}  // namespace troupe
