// The first half of attention.hpp over a type of 16 lanes and a form of the store: one call's rows
// in scratch, their scores with positions in the lanes, and the weights e that the scores become.
#pragma once

#include "kernels/ops/attention.hpp"
#include "kernels/ops/kv_lanes.hpp"

namespace troupe::kernels {

template <class L, class Form>
struct attention_scores_lanes {
  using vec = typename L::vec;
  static constexpr float lowest = -__builtin_inff();

  // One call's rows in scratch; row r of the call is at index r everywhere.
  struct rows_view {
    const attention_task& task;
    std::uint32_t count;
    std::uint32_t padded;
    float* queries;    // scaled, interleaved in groups of rows
    float* scores;     // [count][attention_span], then the weights e
    float* span_sums;  // [count][padded]: o of this span
    float* sums;       // [count][padded]: O
    float* largest;    // [count]: M
    float* totals;     // [count]: L

    std::uint32_t end_of(std::uint32_t r) const {  // one past the row's position
      return task.first_position + (task.row_begin + r) / task.group + 1;
    }
    std::uint32_t positions_in_span(std::uint32_t r, std::uint32_t begin) const {
      const std::uint32_t end = end_of(r);
      if (end <= begin) return 0;
      return end - begin < attention_span ? end - begin : attention_span;
    }
  };

  // Rows go through the scores in groups; a group's queries lie interleaved, [dimension][row of the
  // group].
  static std::uint32_t rows_of_group(std::uint32_t left) {
    return left >= L::wide_rows ? L::wide_rows : left >= 3 ? 3 : left;
  }

  // Scores of Q rows against B consecutive blocks.
  template <int Q, int B>
  static void score_tile(const rows_view& rows, std::uint32_t row, const std::uint32_t* blocks,
                         float* scores) {
    const std::uint32_t dimension = rows.task.store.dimension;
    const float* q = rows.queries + row * rows.padded;
    typename Form::key_block keys[B];
    for (int b = 0; b < B; ++b) keys[b].open(rows.task.store, blocks[b], rows.task.kv_head);
    vec sums[Q][B];
    for (int r = 0; r < Q; ++r)
      for (int b = 0; b < B; ++b) sums[r][b] = L::set(0.0f);
    for (std::uint32_t d = 0; d < dimension;) {
      for (int b = 0; b < B; ++b) keys[b].enter_group(d / kv_group);
      const std::uint32_t end = dimension - d < kv_group ? dimension : d + kv_group;
      for (; d < end; ++d, q += Q) {
        vec k[B];
        for (int b = 0; b < B; ++b) k[b] = keys[b].at(d);
        for (int r = 0; r < Q; ++r) {
          const vec x = L::set(q[r]);
          for (int b = 0; b < B; ++b) sums[r][b] = L::fma(x, k[b], sums[r][b]);
        }
      }
    }
    for (int r = 0; r < Q; ++r)
      for (int b = 0; b < B; ++b)
        L::store(scores + r * attention_span + b * attention_block, sums[r][b]);
  }

  template <int Q>
  static void score_rows(const rows_view& rows, std::uint32_t row, const std::uint32_t* blocks,
                         std::uint32_t count) {
    constexpr int wide = Q < L::wide_rows ? L::narrow_blocks : L::wide_blocks;
    float* scores = rows.scores + row * attention_span;
    std::uint32_t b = 0;
    for (; b + wide <= count; b += wide)
      score_tile<Q, wide>(rows, row, blocks + b, scores + b * attention_block);
    for (; b < count; ++b) score_tile<Q, 1>(rows, row, blocks + b, scores + b * attention_block);
  }

  static void score_span(const rows_view& rows, std::uint32_t begin) {
    const std::uint32_t* blocks = rows.task.blocks + begin / attention_block;
    for (std::uint32_t row = 0, some = 0; row < rows.count; row += some) {
      some = rows_of_group(rows.count - row);
      // Positions never fall along the rows: the last one needs the most blocks.
      const std::uint32_t positions = rows.positions_in_span(row + some - 1, begin);
      const std::uint32_t count = (positions + attention_block - 1) / attention_block;
      switch (some) {
        case L::wide_rows:
          score_rows<L::wide_rows>(rows, row, blocks, count);
          break;
        case 3:
          score_rows<3>(rows, row, blocks, count);
          break;
        case 2:
          score_rows<2>(rows, row, blocks, count);
          break;
        default:
          score_rows<1>(rows, row, blocks, count);
          break;
      }
    }
  }

  // Scores of the first n positions become the weights e; returns their largest score and sum.
  static void weigh(float* scores, std::uint32_t n, float& largest, float& total) {
    const std::uint32_t whole = n / 16 * 16, rest = n - whole;
    vec best = L::set(lowest);
    for (std::uint32_t t = 0; t < whole; t += 16) best = L::max(best, L::load(scores + t));
    if (rest > 0) best = L::max(best, L::first(L::load(scores + whole), rest, lowest));
    largest = L::max_of(best);
    const vec shift = L::set(largest);
    vec lanes = L::set(0.0f);
    for (std::uint32_t t = 0; t < whole; t += 16) {
      const vec e = elementwise_lanes<L>::exponential(L::sub(L::load(scores + t), shift));
      lanes = L::add(lanes, e);
      L::store(scores + t, e);
    }
    if (rest > 0) {
      const vec e = elementwise_lanes<L>::exponential(L::sub(L::load(scores + whole), shift));
      lanes = L::add(lanes, L::first(e, rest, 0.0f));
      L::store(scores + whole, e);  // weights past n are never read
    }
    total = L::tree_sum(lanes);
  }

  static void load_queries(const rows_view& rows) {
    const attention_task& task = rows.task;
    const std::uint32_t dimension = task.store.dimension;
    for (std::uint32_t begin = 0, some = 0; begin < rows.count; begin += some) {
      some = rows_of_group(rows.count - begin);
      float* to = rows.queries + begin * rows.padded;
      for (std::uint32_t r = 0; r < some; ++r) {
        const std::uint32_t row = task.row_begin + begin + r;
        const float* from = task.queries + row / task.group * task.query_stride +
                            (task.kv_head * task.group + row % task.group) * dimension;
        for (std::uint32_t d = 0; d < dimension; ++d) to[d * some + r] = from[d] * task.scale;
      }
    }
  }
};

}  // namespace troupe::kernels
