// Attention for the CUDA kernels: a paged store "on the device" and the CPU's reference beside it.
// Run on the host by unit tests, and on a GPU by tests/cuda.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/backend/cuda/bodies/kv_bodies.hpp"
#include "kernels/ops/row_ops.hpp"
#include "tests/unit/kernels/cuda_emulation.hpp"

namespace troupe::kernels::testing {

using namespace troupe::kernels::cuda;

inline const row_ops& reference() {
  return *find_row_ops("reference");
}

inline std::size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) ++wrong;
  return wrong;
}

inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// One sequence of a step: rows of queries, keys and values from `position` on, keys and values of
// the positions before already in the store.
struct attention_case {
  kv_type type;
  std::uint32_t heads, heads_kv, dimension, position, tokens;
};

struct paged {
  explicit paged(const attention_case& c)
      : of(c),
        blocks_total((c.position + c.tokens + 15) / 16 + 2),
        block_bytes(kv_head_bytes(c.type, c.dimension) * c.heads_kv),
        cpu(blocks_total * block_bytes),
        gpu(blocks_total * block_bytes),
        turned(std::size_t{c.position + c.tokens} * (c.heads + 2 * c.heads_kv) * c.dimension *
               sizeof(float)) {
    for (std::uint32_t b = 0; b < blocks_total; ++b)  // backwards, neighbours exchanged
      blocks.push_back(blocks_total - 1 - ((b ^ 1u) < blocks_total ? b ^ 1u : b));
    const std::uint32_t all = c.position + c.tokens;
    width = (c.heads + 2 * c.heads_kv) * c.dimension;
    rows = random_floats(std::size_t{all} * width, c.position * 7 + c.tokens);
    const std::vector<float> turns = random_floats(std::size_t{all} * c.dimension, 5);
    for (std::uint32_t p = 0; p < all; ++p)
      for (std::uint32_t d = 0; d < c.dimension; d += 2) {
        const float angle = turns[p * c.dimension + d];
        cosines.insert(cosines.end(), 2, std::cos(angle));
        sines.push_back(-std::sin(angle));
        sines.push_back(std::sin(angle));
      }
  }

  // The CPU's rows and store.
  std::vector<float> compute_on_cpu() {
    const std::uint32_t all = of.position + of.tokens;
    kv_layer layer{cpu.data(), block_bytes, of.heads_kv, of.dimension};
    std::vector<float> turned_rows = rows;
    const attention_ops& ops = reference().attention_of(of.type);
    for (std::uint32_t p = 0; p < all; ++p) {
      float* row = &turned_rows[std::size_t{p} * width];
      reference().elementwise.rotate(row, of.heads + of.heads_kv, of.dimension,
                                     &cosines[p * of.dimension], &sines[p * of.dimension]);
      const float* keys = row + of.heads * of.dimension;
      ops.store(layer, blocks[p / 16], p % 16, keys, keys + of.heads_kv * of.dimension);
    }
    std::vector<float> out(std::size_t{of.tokens} * of.heads * of.dimension);
    std::vector<float> scratch(attention_scratch(of.dimension));
    const std::uint32_t group = of.heads / of.heads_kv;
    for (std::uint32_t head = 0; head < of.heads_kv; ++head)
      for (std::uint32_t begin = 0; begin < of.tokens * group; begin += 16)
        ops.attend({.store = layer,
                    .blocks = blocks.data(),
                    .first_position = of.position,
                    .kv_head = head,
                    .group = group,
                    .row_begin = begin,
                    .row_end = std::min(begin + 16, of.tokens * group),
                    .queries = &turned_rows[std::size_t{of.position} * width],
                    .query_stride = width,
                    .out = out.data(),
                    .out_stride = std::uint64_t{of.heads} * of.dimension,
                    .scale = 1.0f / std::sqrt(static_cast<float>(of.dimension)),
                    .scratch = scratch.data()});
    return out;
  }

  // run(arguments, rows)
  template <class Run>
  void store_on_gpu(Run run) {
    const std::uint32_t all = of.position + of.tokens;
    std::memcpy(turned.data(), rows.data(), rows.size() * sizeof(float));
    std::vector<std::uint32_t> slots;
    for (std::uint32_t p = 0; p < all; ++p) {
      slots.push_back(blocks[p / 16]);
      slots.push_back(p % 16);
    }
    const device_bytes at(slots), c(cosines), s(sines);
    run(rotate_arguments{.store = store(),
                         .rows = turned.as<float>(),
                         .stride = width,
                         .heads = of.heads,
                         .cosines = c.as<float>(),
                         .sines = s.as<float>(),
                         .at = at.as<std::uint32_t>()},
        all);
  }

  // run(arguments, tiles)
  template <class Run>
  std::vector<float> attend_on_gpu(std::uint32_t tile_rows, bool split, Run run) {
    const std::uint32_t group = of.heads / of.heads_kv;
    std::vector<attention_tile> planned;
    for (std::uint32_t head = 0; head < of.heads_kv; ++head)
      for (std::uint32_t begin = 0; begin < of.tokens * group; begin += tile_rows)
        planned.push_back({.row = 0,
                           .position = of.position,
                           .kv_head = head,
                           .begin = begin,
                           .end = std::min(begin + tile_rows, of.tokens * group),
                           .blocks_at = 1});
    std::vector<std::uint32_t> ids{99999};
    ids.insert(ids.end(), blocks.begin(), blocks.end());
    const std::uint32_t spans = (of.position + of.tokens + 255) / 256;
    const device_bytes tiles(planned), table(ids);
    const device_bytes out(std::size_t{of.tokens} * of.heads * of.dimension * sizeof(float));
    const device_bytes partial(planned.size() * spans * tile_rows * (of.dimension + 2) *
                               sizeof(float));
    run(attention_arguments{.store = store(),
                            .tiles = tiles.as<attention_tile>(),
                            .blocks = table.as<std::uint32_t>(),
                            .group = group,
                            .queries = turned.as<float>() + std::size_t{of.position} * width,
                            .query_stride = width,
                            .out = out.as<float>(),
                            .out_stride = std::uint64_t{of.heads} * of.dimension,
                            .scale = 1.0f / std::sqrt(static_cast<float>(of.dimension)),
                            .partial = split ? partial.as<float>() : nullptr,
                            .spans = spans,
                            .rows_of_tile = tile_rows},
        static_cast<std::uint32_t>(planned.size()));
    CHECK(out.guarded());
    CHECK(partial.guarded());
    return out.copied<float>();
  }

  device_kv store() { return {gpu.data(), block_bytes, of.heads_kv, of.dimension}; }

  attention_case of;
  std::uint32_t blocks_total, width = 0;
  std::uint64_t block_bytes;
  device_bytes cpu, gpu, turned;
  std::vector<std::uint32_t> blocks;
  std::vector<float> rows, cosines, sines;
};

inline constexpr attention_case attention_cases[] = {
    {kv_type::f16, 4, 2, 64, 0, 1},     {kv_type::f16, 4, 1, 64, 15, 2},
    {kv_type::f16, 2, 2, 80, 16, 5},    {kv_type::f16, 8, 1, 128, 31, 3},
    {kv_type::f16, 3, 3, 20, 250, 12},  {kv_type::f16, 8, 2, 64, 255, 1},
    {kv_type::f16, 8, 2, 64, 256, 1},   {kv_type::f16, 4, 1, 128, 700, 1},
    {kv_type::f16, 2, 1, 256, 505, 20}, {kv_type::f16, 6, 2, 16, 0, 40},
};

}  // namespace troupe::kernels::testing
