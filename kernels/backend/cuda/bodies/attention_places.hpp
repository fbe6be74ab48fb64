// Where attention's kernels find keys, values, queries and results.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/body_math.hpp"
#include "kernels/ops/attention.hpp"

namespace troupe::kernels::cuda {

inline constexpr std::uint32_t dimension_max = 256;

// One layer's keys and values on the device.
struct device_kv {
  std::uint8_t* bytes = nullptr;
  std::uint64_t block_bytes = 0;
  std::uint32_t heads = 0, dimension = 0;

  TROUPE_BODY std::uint8_t* keys(kv_type type, std::uint32_t block, std::uint32_t head) const {
    return bytes + block * block_bytes + head * kv_head_bytes(type, dimension);
  }
  TROUPE_BODY std::uint8_t* values(kv_type type, std::uint32_t block, std::uint32_t head) const {
    return keys(type, block, head) + kv_key_bytes(type, dimension);
  }
};

// The number at `at` of a block's keys ([d][slot]) or values ([slot][d]), `width` numbers for each
// position; the scales of q8_0 lie behind them, [group][slot].
template <kv_type Type>
TROUPE_BODY float read_kept(const std::uint8_t* from, std::uint32_t at, std::uint32_t width,
                            std::uint32_t slot, std::uint32_t d) {
  if constexpr (Type == kv_type::f16)
    return widen_half(reinterpret_cast<const std::uint16_t*>(from)[at]);
  const std::uint16_t* scales =
      reinterpret_cast<const std::uint16_t*>(from + attention_block * width);
  return static_cast<float>(reinterpret_cast<const std::int8_t*>(from)[at]) *
         widen_half(scales[d / kv_group * attention_block + slot]);
}

// Query rows of one sequence and kv head, as step_plan's tiles count them.
struct attention_tile {
  std::uint32_t row = 0;       // of the sequence's first token in the step
  std::uint32_t position = 0;  // of that token
  std::uint32_t kv_head = 0;
  std::uint32_t begin = 0, end = 0;  // row r is token r / group, head kv_head * group + r % group
  std::uint32_t blocks_at = 0;       // the sequence's block ids begin here in `blocks`
};

struct attention_arguments {
  device_kv store;
  const attention_tile* tiles = nullptr;
  const std::uint32_t* blocks = nullptr;
  std::uint32_t group = 1;
  const float* queries = nullptr;
  std::uint64_t query_stride = 0;
  float* out = nullptr;
  std::uint64_t out_stride = 0;
  float scale = 1;
  // A block for each span: results of [tile][span][row of the tile], m, l, o[dimension]. Null: one
  // block takes all spans of its tile.
  float* partial = nullptr;
  std::uint32_t spans = 1;          // of `partial`
  std::uint32_t rows_of_tile = 16;  // of `partial`
};

TROUPE_BODY std::uint32_t end_position(const attention_arguments& a, const attention_tile& tile,
                                       std::uint32_t row) {
  return tile.position + (tile.begin + row) / a.group + 1;
}
TROUPE_BODY std::uint32_t spans_of(const attention_arguments& a, const attention_tile& tile) {
  return (end_position(a, tile, tile.end - tile.begin - 1) + attention_span - 1) / attention_span;
}
TROUPE_BODY float* result_of(const attention_arguments& a, const attention_tile& tile,
                             std::uint32_t row) {
  const std::uint32_t of = tile.begin + row;
  return a.out + (tile.row + of / a.group) * a.out_stride +
         (tile.kv_head * a.group + of % a.group) * std::uint64_t{a.store.dimension};
}

}  // namespace troupe::kernels::cuda
