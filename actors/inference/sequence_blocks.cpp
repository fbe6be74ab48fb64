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

std::optional<kernels::block_id> parent_of_next(const sequence& s) {
  return s.named > 0 ? std::optional(s.blocks[s.named - 1]) : std::nullopt;
}

// Whether its next token is a block's first, and that block may be taken over.
bool may_take_next(const sequence& s) {
  return s.computed == s.named * kv_block_tokens && s.named < takeable(s);
}

void took_next(sequence& s) {
  ++s.named;
  s.computed += kv_block_tokens;
}

// Of what was found behind `before`: tokens of the prompt.
std::uint32_t note_found(sequence& s, std::uint32_t before) {
  const std::uint32_t end = std::min(s.computed, s.prompt_size);
  s.computed_once = std::max(s.computed_once, s.computed);
  return end > before ? end - before : 0;
}

}  // namespace

std::vector<kernels::block_id> find_known_blocks(const sequence& s,
                                                 const kernels::tiered_blocks& kv) {
  std::vector<kernels::block_id> known;
  std::optional<kernels::block_id> parent = parent_of_next(s);
  for (std::size_t b = s.named; b < takeable(s); ++b) {
    parent = kv.find(s.names[b], parent, tokens_of(s, b));
    if (!parent) break;
    known.push_back(*parent);
  }
  return known;
}

std::uint32_t take_known_blocks(sequence& s, kernels::tiered_blocks& kv) {
  const std::uint32_t before = std::max(s.computed, s.computed_once);
  while (may_take_next(s)) {
    const auto found = kv.find(s.names[s.named], parent_of_next(s), tokens_of(s, s.named));
    if (!found) break;
    kv.share(*found);
    if (s.named < s.blocks.size()) {
      kv.release(s.blocks[s.named]);
      s.blocks[s.named] = *found;
    } else {
      s.blocks.push_back(*found);
    }
    took_next(s);
  }
  return note_found(s, before);
}

std::uint32_t bring_back_blocks(sequence& s, kernels::tiered_blocks& kv) {
  const std::uint32_t before = std::max(s.computed, s.computed_once);
  while (may_take_next(s) && s.named < s.blocks.size() &&
         kv.restore(s.blocks[s.named], s.names[s.named], parent_of_next(s), tokens_of(s, s.named)))
    took_next(s);
  return note_found(s, before);
}

bool awaits_blocks(const sequence& s, const kernels::tiered_blocks& kv) {
  return may_take_next(s) && kv.is_kept(s.names[s.named], parent_of_next(s), tokens_of(s, s.named));
}

void publish_blocks(sequence& s, kernels::tiered_blocks& kv) {
  s.computed_once = std::max(s.computed_once, s.computed);
  while (s.naming && (s.named + 1) * kv_block_tokens <= s.computed && s.named < s.names.size()) {
    const auto used =
        kv.publish(s.blocks[s.named], s.names[s.named], parent_of_next(s), tokens_of(s, s.named));
    s.naming = used.has_value();
    if (used) s.blocks[s.named++] = *used;
  }
}

void release_blocks(sequence& s, kernels::tiered_blocks& kv) {
  kv.release_all(s.blocks);
  s.computed = 0;
  s.named = 0;
  s.naming = true;
}

released_blocks forget_blocks(std::span<const kernels::token_id> ids, prefix_name root,
                              kernels::tiered_blocks& kv) {
  std::vector<prefix_name> names;
  extend_prefix_names(names, root, ids);
  const auto [freed, kept] = kv.forget(names, ids);
  return {freed, kept};
}

}  // namespace troupe
