#include "actors/inference/sequence_blocks.hpp"

#include <algorithm>

namespace troupe {
namespace {

using kernels::kv_block_tokens;

// Blocks that may be taken over: not the one with the last token; an embedding needs every token
// computed once.
std::size_t takeable(const sequence& s) {
  const std::size_t tokens = s.embed ? s.pooled_tokens : s.tokens.size();
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

}  // namespace troupe
