// Body that merges attention's spans, in rising order as attention.hpp does.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/attention_places.hpp"

namespace troupe::kernels::cuda {

// Merges the spans that attend_body left in `partial`. Grid: (tiles, rows of a tile).
struct merge_spans_body {
  static constexpr std::uint32_t threads = 128;
  using arguments = attention_arguments;
  struct shared {};
  struct registers {};

  TROUPE_BODY static std::uint32_t steps(const arguments& a, const place& at) {
    const attention_tile& tile = a.tiles[at.block_x];
    return at.block_y < tile.end - tile.begin ? 1 : 0;
  }
  TROUPE_BODY static void step(std::uint32_t, const arguments& a, const place& at, shared&,
                               registers&) {
    const attention_tile& tile = a.tiles[at.block_x];
    const std::uint32_t dimension = a.store.dimension;
    const std::uint32_t spans =
        (end_position(a, tile, at.block_y) + attention_span - 1) / attention_span;
    const std::uint64_t next = std::uint64_t{a.rows_of_tile} * (dimension + 2);
    const float* first = a.partial + std::uint64_t{at.block_x} * a.spans * next +
                         at.block_y * std::uint64_t{dimension + 2};
    float* to = result_of(a, tile, at.block_y);
    for (std::uint32_t d = at.thread; d < dimension; d += threads) {
      float m = first[0], l = first[1], o = first[2 + d];
      for (std::uint32_t span = 1; span < spans; ++span) {
        const float* from = first + span * next;
        const float top = from[0] > m ? from[0] : m;
        const float keep = exact_exponential(m - top), take = exact_exponential(from[0] - top);
        m = top;
        l = fused(l, keep, from[1] * take);
        o = fused(o, keep, from[2 + d] * take);
      }
      to[d] = divided(o, l);
    }
  }
};

}  // namespace troupe::kernels::cuda
