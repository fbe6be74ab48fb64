// Bodies of attention over paged keys and values, in the layout and the order of attention.hpp:
// spans of 256 absolute positions, each with its own maximum and sums, merged in rising order. So
// spans may be computed by one block one after another (prompts) or each by a block of its own
// (decode, merge_spans_body): the bits are the same.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/attention_places.hpp"

namespace troupe::kernels::cuda {

// Grid: (tiles, spans or 1). Tiles have at most Rows rows.
template <kv_type Type, std::uint32_t Rows>
struct attend_body {
  static constexpr std::uint32_t threads = 256, half_rows = Rows / 2, gap = Rows + 4;
  static constexpr std::uint32_t steps_of_span = 4;
  static_assert(threads == attention_span && Rows * 16 <= threads);
  using arguments = attention_arguments;
  struct shared {
    alignas(16) float q[dimension_max][Rows];
    alignas(16) float e[attention_span][gap];  // scores, then their exponentials
    float largest[Rows][17];                   // by lanes
    float lanes[Rows][17];
  };
  // A thread has dimension d of half the tile's rows, and a second d where the dimension is above
  // 128.
  struct registers {
    float m[half_rows] = {}, l[half_rows] = {};
    float o[2][half_rows] = {};
  };

  TROUPE_BODY static std::uint32_t first_span(const arguments& a, const place& at) {
    return a.partial == nullptr ? 0 : at.block_y;
  }
  TROUPE_BODY static std::uint32_t steps(const arguments& a, const place& at) {
    const std::uint32_t spans = spans_of(a, a.tiles[at.block_x]);
    if (a.partial == nullptr) return 1 + spans * steps_of_span;
    return at.block_y < spans ? 1 + steps_of_span : 0;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers& r) {
    const attention_tile& tile = a.tiles[at.block_x];
    const std::uint32_t rows = tile.end - tile.begin;
    if (i == 0) {
      load_queries(a, tile, at, s);
      return;
    }
    const std::uint32_t span = first_span(a, at) + (i - 1) / steps_of_span;
    const std::uint32_t begin = span * attention_span;
    switch ((i - 1) % steps_of_span) {
      case 0:
        score(a, tile, rows, begin, at.thread, s);
        break;
      case 1:
        find_largest(a, tile, rows, begin, at.thread, s);
        break;
      case 2:
        exponentiate(a, tile, rows, begin, at.thread, s);
        break;
      default:
        add_values(a, tile, rows, begin, at.thread, s, r);
        if (i + 1 == steps(a, at)) write(a, tile, rows, at, r);
    }
  }

  // Positions of the span that row `row` sees.
  TROUPE_BODY static std::uint32_t seen(const arguments& a, const attention_tile& tile,
                                        std::uint32_t row, std::uint32_t begin) {
    const std::uint32_t end = end_position(a, tile, row);
    return end <= begin ? 0 : end - begin < attention_span ? end - begin : attention_span;
  }

  TROUPE_BODY static void load_queries(const arguments& a, const attention_tile& tile,
                                       const place& at, shared& s) {
    const std::uint32_t dimension = a.store.dimension, rows = tile.end - tile.begin;
    for (std::uint32_t i = at.thread; i < dimension * Rows; i += threads) {
      const std::uint32_t row = i / dimension, d = i % dimension, of = tile.begin + row;
      float q = 0;
      if (row < rows)
        q = a.queries[(tile.row + of / a.group) * a.query_stride +
                      (tile.kv_head * a.group + of % a.group) * std::uint64_t{dimension} + d] *
            a.scale;
      s.q[d][row] = q;
    }
  }

  TROUPE_BODY static void score(const arguments& a, const attention_tile& tile, std::uint32_t rows,
                                std::uint32_t begin, std::uint32_t t, shared& s) {
    if (t >= seen(a, tile, rows - 1, begin)) return;
    const std::uint32_t position = begin + t, slot = position % attention_block;
    const std::uint32_t dimension = a.store.dimension;
    const std::uint8_t* keys =
        a.store.keys(Type, a.blocks[tile.blocks_at + position / attention_block], tile.kv_head);
    float sum[Rows] = {};
    for (std::uint32_t d = 0; d < dimension; ++d) {
      const float k = read_kept<Type>(keys, d * attention_block + slot, dimension, slot, d);
      TROUPE_UNROLL
      for (std::uint32_t row = 0; row < Rows; ++row) sum[row] = fused(s.q[d][row], k, sum[row]);
    }
    TROUPE_UNROLL
    for (std::uint32_t row = 0; row < Rows; ++row) s.e[t][row] = sum[row];
  }

  TROUPE_BODY static void find_largest(const arguments& a, const attention_tile& tile,
                                       std::uint32_t rows, std::uint32_t begin,
                                       std::uint32_t thread, shared& s) {
    const std::uint32_t row = thread / 16, lane = thread % 16;
    if (row >= rows) return;
    const std::uint32_t count = seen(a, tile, row, begin);
    float largest = float_of(0xff800000u);
    for (std::uint32_t t = lane; t < count; t += 16)
      largest = s.e[t][row] > largest ? s.e[t][row] : largest;
    s.largest[row][lane] = largest;
  }
  TROUPE_BODY static float largest_of(const shared& s, std::uint32_t row) {
    float largest = s.largest[row][0];
    for (std::uint32_t lane = 1; lane < 16; ++lane)
      largest = s.largest[row][lane] > largest ? s.largest[row][lane] : largest;
    return largest;
  }

  TROUPE_BODY static void exponentiate(const arguments& a, const attention_tile& tile,
                                       std::uint32_t rows, std::uint32_t begin,
                                       std::uint32_t thread, shared& s) {
    const std::uint32_t row = thread / 16, lane = thread % 16;
    if (row >= rows) return;
    const std::uint32_t count = seen(a, tile, row, begin);
    const float m = largest_of(s, row);
    float sum = 0;
    for (std::uint32_t t = lane; t < count; t += 16) {
      const float e = exact_exponential(s.e[t][row] - m);
      s.e[t][row] = e;
      sum += e;
    }
    s.lanes[row][lane] = sum;
  }

  TROUPE_BODY static void add_values(const arguments& a, const attention_tile& tile,
                                     std::uint32_t rows, std::uint32_t begin, std::uint32_t thread,
                                     const shared& s, registers& r) {
    const std::uint32_t dimension = a.store.dimension, padded = padded_dimension(dimension);
    // Even threads take the lower half of the rows, odd ones the upper: neighbours share a value.
    const std::uint32_t row0 = thread % 2 * half_rows;
    if (row0 >= rows) return;
    std::uint32_t count[half_rows];
    TROUPE_UNROLL
    for (std::uint32_t j = 0; j < half_rows; ++j)
      count[j] = row0 + j < rows ? seen(a, tile, row0 + j, begin) : 0;
    const std::uint32_t top = rows - row0 < half_rows ? rows - 1 : row0 + half_rows - 1;
    const std::uint32_t most = seen(a, tile, top, begin);
    float sum[2][half_rows] = {};
    TROUPE_UNROLL
    for (std::uint32_t part = 0; part < 2; ++part) {
      const std::uint32_t d = thread / 2 + part * 128;
      if (d >= dimension) continue;
      for (std::uint32_t from = 0; from < most; from += attention_block) {
        const std::uint8_t* values = a.store.values(
            Type, a.blocks[tile.blocks_at + (begin + from) / attention_block], tile.kv_head);
        const std::uint32_t some = most - from < attention_block ? most - from : attention_block;
        const bool whole = count[0] >= from + some;  // the first row sees fewest
        for (std::uint32_t slot = 0; slot < some; ++slot) {
          const float v = read_kept<Type>(values, slot * padded + d, padded, slot, d);
          TROUPE_UNROLL
          for (std::uint32_t j = 0; j < half_rows; ++j)
            if (whole || from + slot < count[j])
              sum[part][j] = fused(s.e[from + slot][row0 + j], v, sum[part][j]);
        }
      }
    }
    const bool first = a.partial != nullptr || begin == 0;
    TROUPE_UNROLL
    for (std::uint32_t j = 0; j < half_rows; ++j) {
      if (count[j] == 0) continue;
      const float m = largest_of(s, row0 + j), l = tree_of(s.lanes[row0 + j]);
      merge(first, m, l, sum[0][j], sum[1][j], r.m[j], r.l[j], r.o[0][j], r.o[1][j]);
    }
  }

  TROUPE_BODY static void merge(bool first, float m, float l, float o0, float o1, float& all_m,
                                float& all_l, float& all_o0, float& all_o1) {
    if (first) {
      all_m = m;
      all_l = l;
      all_o0 = o0;
      all_o1 = o1;
      return;
    }
    const float top = m > all_m ? m : all_m;
    const float keep = exact_exponential(all_m - top), take = exact_exponential(m - top);
    all_m = top;
    all_l = fused(all_l, keep, l * take);
    all_o0 = fused(all_o0, keep, o0 * take);
    all_o1 = fused(all_o1, keep, o1 * take);
  }

  TROUPE_BODY static void write(const arguments& a, const attention_tile& tile, std::uint32_t rows,
                                const place& at, const registers& r) {
    const std::uint32_t dimension = a.store.dimension;
    TROUPE_UNROLL
    for (std::uint32_t j = 0; j < half_rows; ++j) {
      const std::uint32_t row = at.thread % 2 * half_rows + j;
      if (row >= rows) continue;
      float* to =
          a.partial == nullptr
              ? result_of(a, tile, row)
              : a.partial +
                    ((std::uint64_t{at.block_x} * a.spans + at.block_y) * a.rows_of_tile + row) *
                        (dimension + 2);
      TROUPE_UNROLL
      for (std::uint32_t part = 0; part < 2; ++part) {
        const std::uint32_t d = at.thread / 2 + part * 128;
        if (d >= dimension) continue;
        if (a.partial == nullptr)
          to[d] = divided(r.o[part][j], r.l[j]);
        else
          to[2 + d] = r.o[part][j];
      }
      if (a.partial != nullptr && at.thread / 2 == 0) {
        to[0] = r.m[j];
        to[1] = r.l[j];
      }
    }
  }
};

}  // namespace troupe::kernels::cuda
