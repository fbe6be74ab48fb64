#include "actors/inference/sequence_blocks.hpp"

#include <algorithm>

namespace troupe {
namespace {

using kernels::kv_block_tokens;

// Blocks that may be taken over: not the one with the last token; who reads a prompt needs every
// token computed once.
std::size_t takeable(const sequence& s) {
  const std::size_t tokens = s.answers() ? s.tokens.size() : s.rows_taken;
  return s.naming && tokens > 0 ? std::min((tokens - 1) / kv_block_tokens, s.names.size()) : 0;
}

kernels::block_tokens tokens_of(const sequence& s, std::size_t block) {
  return std::span{s.tokens}.subspan(block * kv_block_tokens).first<kv_block_tokens>();
}

}  // namespace

std::vector<kernels::block_id> find_known_blocks(const sequence& s,
                                                 const kernels::block_pool& pool) {
  std::vector<kernels::block_id> known;
  std::optional<kernels::block_id> parent;
  if (s.named > 0) parent = s.blocks[s.named - 1];
  for (std::size_t b = s.named; b < takeable(s); ++b) {
    parent = pool.find(s.names[b], parent, tokens_of(s, b));
    if (!parent) break;
    known.push_back(*parent);
  }
  return known;
}

std::uint32_t take_known_blocks(sequence& s, kernels::block_pool& pool) {
  const std::uint32_t before = std::max(s.computed, s.computed_once);
  if (s.computed != s.named * kv_block_tokens) return 0;
  while (s.named < takeable(s)) {
    std::optional<kernels::block_id> parent;
    if (s.named > 0) parent = s.blocks[s.named - 1];
    const auto found = pool.find(s.names[s.named], parent, tokens_of(s, s.named));
    if (!found) break;
    pool.share(*found);
    if (s.named < s.blocks.size()) {
      pool.release(s.blocks[s.named]);
      s.blocks[s.named] = *found;
    } else {
      s.blocks.push_back(*found);
    }
    ++s.named;
    s.computed += kv_block_tokens;
  }
  const std::uint32_t end = std::min(s.computed, s.prompt_size);
  s.computed_once = std::max(s.computed_once, s.computed);
  return end > before ? end - before : 0;
}

void publish_blocks(sequence& s, kernels::block_pool& pool) {
  s.computed_once = std::max(s.computed_once, s.computed);
  while (s.naming && (s.named + 1) * kv_block_tokens <= s.computed && s.named < s.names.size()) {
    std::optional<kernels::block_id> parent;
    if (s.named > 0) parent = s.blocks[s.named - 1];
    const auto used =
        pool.publish(s.blocks[s.named], s.names[s.named], parent, tokens_of(s, s.named));
    s.naming = used.has_value();
    if (used) s.blocks[s.named++] = *used;
  }
}

void release_blocks(sequence& s, kernels::block_pool& pool) {
  pool.release_all(s.blocks);
  s.computed = 0;
  s.named = 0;
  s.naming = true;
}

released_blocks forget_blocks(std::span<const kernels::token_id> ids, prefix_name root,
                              kernels::block_pool& pool) {
  std::vector<kernels::block_id> chain;
  std::optional<kernels::block_id> parent;
  prefix_name name = root;
  for (; ids.size() >= kv_block_tokens; ids = ids.subspan(kv_block_tokens)) {
    const auto tokens = ids.first<kv_block_tokens>();
    name = prefix_next(name, tokens);
    parent = pool.find(name, parent, tokens);
    if (!parent) break;
    chain.push_back(*parent);
  }
  released_blocks told;
  for (; !chain.empty() && pool.forget(chain.back()); chain.pop_back()) ++told.freed;
  told.kept = static_cast<std::uint32_t>(chain.size());
  return told;
}

}  // namespace troupe
