// Names of full KV blocks: a chain of hashes over a model, a numerics class and the token ids up to
// a block's end. Equal names on two nodes mean equal KV bits, but for a chance of about 2^-64:
// whoever uses a block compares its tokens; whoever only chooses a node need not.
//
// root = XXH3-64 of the digest, a zero byte and the class; next = XXH3-64 of the name before and
// the 16 ids, all little-endian. Nodes tell each other names in heartbeats: it is part of the wire
// format. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe {

using prefix_name = std::uint64_t;

prefix_name prefix_root(std::string_view model_digest, std::string_view numerics_class);
prefix_name prefix_next(prefix_name before,
                        std::span<const kernels::token_id, kernels::kv_block_tokens> ids);

// Extends `names`, which holds those of the first blocks of `ids`, by the names of all further full
// blocks.
void extend_prefix_names(std::vector<prefix_name>& names, prefix_name root,
                         std::span<const kernels::token_id> ids);

}  // namespace troupe
