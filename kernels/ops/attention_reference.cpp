// The contract of attention.hpp, one row after another, as plainly as it can be.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/lane_sum.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {
namespace {

void store(const kv_layer& layer, std::uint32_t block, std::uint32_t slot, const float* keys,
           const float* values) {
  const std::uint32_t dimension = layer.dimension, padded = padded_dimension(dimension);
  for (std::uint32_t g = 0; g < layer.heads; ++g) {
    for (std::uint32_t d = 0; d < dimension; ++d) {
      layer.keys_of(block, g)[d * attention_block + slot] = float_to_half(keys[g * dimension + d]);
      layer.values_of(block, g)[slot * padded + d] = float_to_half(values[g * dimension + d]);
    }
    for (std::uint32_t d = dimension; d < padded; ++d)
      layer.values_of(block, g)[slot * padded + d] = 0;
  }
}

struct span_sums {
  float m = 0;
  float l = 0;
  std::vector<float> o;
};

// Positions [begin, end) of one span for one row.
span_sums compute_span(const attention_task& task, const std::vector<float>& q, std::uint32_t begin,
                       std::uint32_t end) {
  const std::uint32_t dimension = task.store.dimension, padded = padded_dimension(dimension);
  std::vector<float> e(end - begin);
  for (std::uint32_t t = begin; t < end; ++t) {
    const std::uint16_t* keys = task.store.keys_of(task.blocks[t / attention_block], task.kv_head);
    float score = 0;
    for (std::uint32_t d = 0; d < dimension; ++d)
      score = std::fma(q[d], half_to_float(keys[d * attention_block + t % attention_block]), score);
    e[t - begin] = score;
  }
  span_sums sums;
  sums.m = *std::max_element(e.begin(), e.end());
  sums.o.assign(dimension, 0.0f);
  float lanes[16] = {};
  for (std::uint32_t t = begin; t < end; ++t) {
    const float weight = reference_exp(e[t - begin] - sums.m);
    lanes[t % 16] += weight;
    const std::uint16_t* values =
        task.store.values_of(task.blocks[t / attention_block], task.kv_head) +
        t % attention_block * padded;
    for (std::uint32_t d = 0; d < dimension; ++d)
      sums.o[d] = std::fma(weight, half_to_float(values[d]), sums.o[d]);
  }
  sums.l = tree_sum(lanes);
  return sums;
}

void merge(span_sums& all, const span_sums& span) {
  const float m = std::max(all.m, span.m);
  const float a = reference_exp(all.m - m), b = reference_exp(span.m - m);
  all.m = m;
  all.l = std::fma(all.l, a, span.l * b);
  for (std::size_t d = 0; d < all.o.size(); ++d) all.o[d] = std::fma(all.o[d], a, span.o[d] * b);
}

void attend(const attention_task& task) {
  const std::uint32_t dimension = task.store.dimension;
  for (std::uint32_t row = task.row_begin; row < task.row_end; ++row) {
    const std::uint32_t token = row / task.group,
                        head = task.kv_head * task.group + row % task.group;
    const std::uint32_t end = task.first_position + token + 1;
    std::vector<float> q(dimension);
    for (std::uint32_t d = 0; d < dimension; ++d)
      q[d] = task.queries[token * task.query_stride + head * dimension + d] * task.scale;
    span_sums all = compute_span(task, q, 0, std::min(end, attention_span));
    for (std::uint32_t begin = attention_span; begin < end; begin += attention_span)
      merge(all, compute_span(task, q, begin, std::min(end, begin + attention_span)));
    float* out = task.out + token * task.out_stride + head * dimension;
    for (std::uint32_t d = 0; d < dimension; ++d) out[d] = all.o[d] / all.l;
  }
}

}  // namespace

const attention_ops attention_reference{store, attend};

}  // namespace troupe::kernels
