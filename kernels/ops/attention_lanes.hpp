// attention.hpp over a type of 16 lanes and a form of the store (kv_lanes.hpp): scores with
// positions in the lanes, values with dimensions in the lanes. Several rows share each key and
// value that is loaded and widened. Includes nothing from std, so that each instruction set can
// compile it alone.
#pragma once

#include "kernels/ops/attention.hpp"
#include "kernels/ops/attention_scores_lanes.hpp"

namespace troupe::kernels {

template <class L, class Form>
struct attention_lanes {
  using vec = typename L::vec;
  using scores = attention_scores_lanes<L, Form>;
  using rows_view = typename scores::rows_view;

  // o of Q rows and V vectors of dimensions goes on over the positions [from, to) of the span at
  // `begin`.
  template <int Q, int V>
  static void value_tile(const rows_view& rows, std::uint32_t row, std::uint32_t begin,
                         std::uint32_t from, std::uint32_t to, std::uint32_t d) {
    float* o = rows.span_sums + row * rows.padded + d;
    const float* e = rows.scores + row * attention_span;
    vec sums[Q][V];
    for (int r = 0; r < Q; ++r)
      for (int v = 0; v < V; ++v) sums[r][v] = L::load(o + r * rows.padded + v * 16);
    for (std::uint32_t t = from; t < to;) {
      std::uint32_t slot = (begin + t) % attention_block;
      const typename Form::template value_block<V> values(
          rows.task.store, rows.task.blocks[(begin + t) / attention_block], rows.task.kv_head, d);
      const std::uint32_t block_left = attention_block - slot;
      const std::uint32_t stop = to - t < block_left ? to : t + block_left;
      for (; t < stop; ++t, ++slot) {
        vec x[V];
        for (int v = 0; v < V; ++v) x[v] = values.at(slot, v);
        for (int r = 0; r < Q; ++r) {
          const vec weight = L::set(e[r * attention_span + t]);
          for (int v = 0; v < V; ++v) sums[r][v] = L::fma(weight, x[v], sums[r][v]);
        }
      }
    }
    for (int r = 0; r < Q; ++r)
      for (int v = 0; v < V; ++v) L::store(o + r * rows.padded + v * 16, sums[r][v]);
  }

  template <int Q>
  static void value_rows(const rows_view& rows, std::uint32_t row, std::uint32_t begin,
                         std::uint32_t from, std::uint32_t to) {
    if (from >= to) return;
    constexpr std::uint32_t step = 16 * L::value_vectors;
    std::uint32_t d = 0;
    for (; d + step <= rows.padded; d += step)
      value_tile<Q, L::value_vectors>(rows, row, begin, from, to, d);
    for (; d < rows.padded; d += 16) value_tile<Q, 1>(rows, row, begin, from, to, d);
  }

  static void value_span(const rows_view& rows, std::uint32_t begin) {
    for (std::uint32_t i = 0; i < rows.count * rows.padded; i += 16)
      L::store(rows.span_sums + i, L::set(0.0f));
    std::uint32_t row = 0;
    for (; row + L::value_rows <= rows.count; row += L::value_rows) {
      // All rows of a tile go together to the first row's end, each then alone to its own.
      const std::uint32_t together = rows.positions_in_span(row, begin);
      value_rows<L::value_rows>(rows, row, begin, 0, together);
      for (std::uint32_t r = row + 1; r < row + L::value_rows; ++r)
        value_rows<1>(rows, r, begin, together, rows.positions_in_span(r, begin));
    }
    for (; row < rows.count; ++row)
      value_rows<1>(rows, row, begin, 0, rows.positions_in_span(row, begin));
  }

  static void merge(const rows_view& rows, std::uint32_t r, bool first, float largest,
                    float total) {
    float* all = rows.sums + r * rows.padded;
    const float* span = rows.span_sums + r * rows.padded;
    if (first) {
      rows.largest[r] = largest;
      rows.totals[r] = total;
      for (std::uint32_t d = 0; d < rows.padded; d += 16) L::store(all + d, L::load(span + d));
      return;
    }
    const vec old = L::set(rows.largest[r]), here = L::set(largest);
    const vec m = L::max(old, here);
    const vec a = elementwise_lanes<L>::exponential(L::sub(old, m));
    const vec b = elementwise_lanes<L>::exponential(L::sub(here, m));
    rows.largest[r] = L::first_of(m);
    rows.totals[r] = L::first_of(L::fma(L::set(rows.totals[r]), a, L::mul(L::set(total), b)));
    for (std::uint32_t d = 0; d < rows.padded; d += 16)
      L::store(all + d, L::fma(L::load(all + d), a, L::mul(L::load(span + d), b)));
  }

  static void store_results(const rows_view& rows) {
    const attention_task& task = rows.task;
    const std::uint32_t dimension = task.store.dimension;
    for (std::uint32_t r = 0; r < rows.count; ++r) {
      const std::uint32_t row = task.row_begin + r;
      float* to = task.out + row / task.group * task.out_stride +
                  (task.kv_head * task.group + row % task.group) * dimension;
      for (std::uint32_t d = 0; d < dimension; ++d)
        to[d] = rows.sums[r * rows.padded + d] / rows.totals[r];
    }
  }

  static void attend(const attention_task& task) {
    const std::uint32_t padded = padded_dimension(task.store.dimension);
    float* next = task.scratch;
    const auto take = [&next](std::uint32_t floats) {
      float* here = next;
      next += floats;
      return here;
    };
    constexpr std::uint32_t most = attention_rows_max;
    const rows_view rows{.task = task,
                         .count = task.row_end - task.row_begin,
                         .padded = padded,
                         .queries = take(most * padded),
                         .scores = take(most * attention_span),
                         .span_sums = take(most * padded),
                         .sums = take(most * padded),
                         .largest = take(most),
                         .totals = take(most)};
    scores::load_queries(rows);
    const std::uint32_t end = rows.end_of(rows.count - 1);
    for (std::uint32_t begin = 0; begin < end; begin += attention_span) {
      scores::score_span(rows, begin);
      float largest[most], totals[most];
      for (std::uint32_t r = 0; r < rows.count; ++r)
        if (const std::uint32_t n = rows.positions_in_span(r, begin); n > 0)
          scores::weigh(rows.scores + r * attention_span, n, largest[r], totals[r]);
      value_span(rows, begin);
      for (std::uint32_t r = 0; r < rows.count; ++r)
        if (rows.positions_in_span(r, begin) > 0) merge(rows, r, begin == 0, largest[r], totals[r]);
    }
    store_results(rows);
  }

  static constexpr attention_ops table{Form::store, attend};
};

}  // namespace troupe::kernels
