// Causal attention of one sequence's query rows over paged keys and values, in the fixed order of
// numerics classes cpu-1 and cpu-1-kvq8. Plain data: the files of each instruction set include it,
// and its functions are always inlined, so that none compiled for a newer machine is shared.
//
// Store: a block holds kv_block_tokens positions. For each kv head it holds the keys as
// [dimension][position], then the values as [position][padded dimension], the padding being zero.
// - f16 (cpu-1): float16, round to nearest even.
// - q8_0 (cpu-1-kvq8): int8, behind the keys their scales and behind the values theirs, both
//   float16 as [group][position]. A group is kv_group dimensions of one token's head (the last may
//   be smaller). With m = its largest magnitude: scale s = float16(m / 127), a NaN where one of the
//   group is not finite; r = 1 / s, or 0 where s is 0 or not finite; q = x * r, cut to -127 .. 127
//   and rounded to the nearest even number, and 0 where r is. What is stored is q * s, which a
//   float holds exactly: nothing below knows which of the two types it came from.
//
// A query row is one head h of one token at position p. With q = query * scale, the positions 0 ..
// p are cut into spans of attention_span, aligned to absolute positions. Within a span, t rising
// over the positions up to p:
//   score[t] = chain over rising d of fma(q[d], k[t][d], score), from 0
//   m = max score; e[t] = exp(score[t] - m) (elementwise.hpp); l = e by lanes (t mod 16, rising t)
//   and tree o[d] = chain over rising t of fma(e[t], v[t][d], o), from 0
// The first span gives (M, L, O). A later one is merged: M' = max(M, m), a = exp(M - M'), b = exp(m
// - M'), L = fma(L, a, l * b), O[d] = fma(O[d], a, o[d] * b). Result: O[d] / L. So a row depends on
// its own positions alone: not on the tile, on the chunk it came in, nor on block numbers. What
// lies in a block past p is never part of a sum, whatever its bits.
//
// Threading: rows may be computed on several threads, each with its own scratch. Errors: none; the
// caller has checked.
#pragma once

#include <cstdint>

#include "kernels/kv/kv_type.hpp"

namespace troupe::kernels {

inline constexpr std::uint32_t attention_block = 16;  // == kv_block_tokens
inline constexpr std::uint32_t attention_span = 256;
inline constexpr std::uint32_t attention_rows_max = 16;  // query rows of one call
inline constexpr std::uint32_t kv_group = 32;            // dimensions that share a scale in q8_0
inline constexpr std::uint16_t kv_scale_nan = 0x7e00;

[[gnu::always_inline]] inline constexpr std::uint32_t padded_dimension(std::uint32_t dimension) {
  return (dimension + 15) / 16 * 16;
}
[[gnu::always_inline]] inline constexpr std::uint32_t kv_groups(std::uint32_t dimension) {
  return (dimension + kv_group - 1) / kv_group;
}
// Bytes of the keys of one kv head in one block, and of both its keys and values.
[[gnu::always_inline]] inline constexpr std::uint64_t kv_key_bytes(kv_type type,
                                                                   std::uint32_t dimension) {
  return type == kv_type::f16
             ? std::uint64_t{attention_block} * dimension * 2
             : std::uint64_t{attention_block} * (dimension + kv_groups(dimension) * 2);
}
[[gnu::always_inline]] inline constexpr std::uint64_t kv_head_bytes(kv_type type,
                                                                    std::uint32_t dimension) {
  const std::uint32_t padded = padded_dimension(dimension);
  return kv_key_bytes(type, dimension) + kv_key_bytes(type, padded);
}
// Floats of scratch that one call needs.
[[gnu::always_inline]] inline constexpr std::uint64_t attention_scratch(std::uint32_t dimension) {
  return std::uint64_t{attention_rows_max} *
         (attention_span + 3 * padded_dimension(dimension) + 16);
}

// One layer's part of the store. halves and scales are float16.
struct kv_layer {
  std::uint8_t* bytes = nullptr;
  std::uint64_t block_bytes = 0;  // from block to block
  std::uint32_t heads = 0;
  std::uint32_t dimension = 0;

  [[gnu::always_inline]] std::uint8_t* keys_of(kv_type type, std::uint32_t block,
                                               std::uint32_t head) const {
    return bytes + block * block_bytes + head * kv_head_bytes(type, dimension);
  }
  [[gnu::always_inline]] std::uint8_t* values_of(kv_type type, std::uint32_t block,
                                                 std::uint32_t head) const {
    return keys_of(type, block, head) + kv_key_bytes(type, dimension);
  }
  [[gnu::always_inline]] std::uint16_t* half_keys(std::uint32_t block, std::uint32_t head) const {
    return reinterpret_cast<std::uint16_t*>(keys_of(kv_type::f16, block, head));
  }
  [[gnu::always_inline]] std::uint16_t* half_values(std::uint32_t block, std::uint32_t head) const {
    return reinterpret_cast<std::uint16_t*>(values_of(kv_type::f16, block, head));
  }
  [[gnu::always_inline]] std::int8_t* byte_keys(std::uint32_t block, std::uint32_t head) const {
    return reinterpret_cast<std::int8_t*>(keys_of(kv_type::q8_0, block, head));
  }
  [[gnu::always_inline]] std::int8_t* byte_values(std::uint32_t block, std::uint32_t head) const {
    return reinterpret_cast<std::int8_t*>(values_of(kv_type::q8_0, block, head));
  }
  [[gnu::always_inline]] std::uint16_t* key_scales(std::uint32_t block, std::uint32_t head) const {
    return reinterpret_cast<std::uint16_t*>(keys_of(kv_type::q8_0, block, head) +
                                            attention_block * dimension);
  }
  [[gnu::always_inline]] std::uint16_t* value_scales(std::uint32_t block,
                                                     std::uint32_t head) const {
    return reinterpret_cast<std::uint16_t*>(values_of(kv_type::q8_0, block, head) +
                                            attention_block * padded_dimension(dimension));
  }
};

// Rows [row_begin, row_end) of one kv head, at most attention_rows_max: row r is token r / group,
// head kv_head * group + r % group.
struct attention_task {
  kv_layer store;
  const std::uint32_t* blocks = nullptr;
  std::uint32_t first_position = 0;  // of token 0
  std::uint32_t kv_head = 0;
  std::uint32_t group = 1;  // query heads that share the kv head
  std::uint32_t row_begin = 0, row_end = 0;
  const float* queries = nullptr;  // token 0, head 0; heads lie one after another
  std::uint64_t query_stride = 0;  // floats from token to token
  float* out = nullptr;            // same layout as queries
  std::uint64_t out_stride = 0;
  float scale = 1;
  float* scratch = nullptr;  // attention_scratch() floats
};

struct attention_ops {
  // Stores one token's keys and values (heads * dimension floats each) at `slot` (position mod 16)
  // of `block`.
  void (*store)(const kv_layer& store, std::uint32_t block, std::uint32_t slot, const float* keys,
                const float* values);
  void (*attend)(const attention_task& task);
};

}  // namespace troupe::kernels
