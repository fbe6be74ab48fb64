// The contract of attention.hpp, one row after another, as plainly as it can be.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/lane_sum.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {
namespace {

void store_halves(const kv_layer& layer, std::uint32_t block, std::uint32_t slot, const float* keys,
                  const float* values) {
  const std::uint32_t dimension = layer.dimension, padded = padded_dimension(dimension);
  for (std::uint32_t g = 0; g < layer.heads; ++g) {
    std::uint16_t *to_keys = layer.half_keys(block, g), *to_values = layer.half_values(block, g);
    for (std::uint32_t d = 0; d < dimension; ++d) {
      to_keys[d * attention_block + slot] = float_to_half(keys[g * dimension + d]);
      to_values[slot * padded + d] = float_to_half(values[g * dimension + d]);
    }
    for (std::uint32_t d = dimension; d < padded; ++d) to_values[slot * padded + d] = 0;
  }
}

struct quantized_group {
  std::uint16_t scale = 0;
  std::int8_t q[kv_group] = {};
};

quantized_group quantize(const float* x, std::uint32_t some) {
  quantized_group group;
  float largest = 0;
  bool finite = true;
  for (std::uint32_t i = 0; i < some; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::max(largest, std::fabs(x[i]));
  }
  group.scale = finite ? float_to_half(largest / 127) : kv_scale_nan;
  const float scale = half_to_float(group.scale);
  if (scale == 0 || !std::isfinite(scale)) return group;
  const float inverse = 1 / scale;
  for (std::uint32_t i = 0; i < some; ++i)
    group.q[i] =
        static_cast<std::int8_t>(std::nearbyint(std::clamp(x[i] * inverse, -127.0f, 127.0f)));
  return group;
}

void store_bytes(const kv_layer& layer, std::uint32_t block, std::uint32_t slot, const float* keys,
                 const float* values) {
  const std::uint32_t dimension = layer.dimension, padded = padded_dimension(dimension);
  for (std::uint32_t g = 0; g < layer.heads; ++g)
    for (std::uint32_t first = 0; first < dimension; first += kv_group) {
      const std::uint32_t some = std::min(kv_group, dimension - first);
      const quantized_group k = quantize(keys + g * dimension + first, some);
      const quantized_group v = quantize(values + g * dimension + first, some);
      layer.key_scales(block, g)[first / kv_group * attention_block + slot] = k.scale;
      layer.value_scales(block, g)[first / kv_group * attention_block + slot] = v.scale;
      for (std::uint32_t i = 0; i < some; ++i)
        layer.byte_keys(block, g)[(first + i) * attention_block + slot] = k.q[i];
      for (std::uint32_t i = 0; i < std::min(kv_group, padded - first); ++i)
        layer.byte_values(block, g)[slot * padded + first + i] = v.q[i];
    }
}

template <kv_type Type>
float key_at(const attention_task& task, std::uint32_t t, std::uint32_t d) {
  const std::uint32_t block = task.blocks[t / attention_block], slot = t % attention_block;
  const std::uint32_t at = d * attention_block + slot;
  if constexpr (Type == kv_type::f16)
    return half_to_float(task.store.half_keys(block, task.kv_head)[at]);
  const std::uint16_t* scales = task.store.key_scales(block, task.kv_head);
  return static_cast<float>(task.store.byte_keys(block, task.kv_head)[at]) *
         half_to_float(scales[d / kv_group * attention_block + slot]);
}

template <kv_type Type>
float value_at(const attention_task& task, std::uint32_t t, std::uint32_t d) {
  const std::uint32_t block = task.blocks[t / attention_block], slot = t % attention_block;
  const std::uint32_t at = slot * padded_dimension(task.store.dimension) + d;
  if constexpr (Type == kv_type::f16)
    return half_to_float(task.store.half_values(block, task.kv_head)[at]);
  const std::uint16_t* scales = task.store.value_scales(block, task.kv_head);
  return static_cast<float>(task.store.byte_values(block, task.kv_head)[at]) *
         half_to_float(scales[d / kv_group * attention_block + slot]);
}

struct span_sums {
  float m = 0;
  float l = 0;
  std::vector<float> o;
};

// Positions [begin, end) of one span for one row.
template <kv_type Type>
span_sums compute_span(const attention_task& task, const std::vector<float>& q, std::uint32_t begin,
                       std::uint32_t end) {
  const std::uint32_t dimension = task.store.dimension;
  std::vector<float> e(end - begin);
  for (std::uint32_t t = begin; t < end; ++t) {
    float score = 0;
    for (std::uint32_t d = 0; d < dimension; ++d)
      score = std::fma(q[d], key_at<Type>(task, t, d), score);
    e[t - begin] = score;
  }
  span_sums sums;
  sums.m = *std::max_element(e.begin(), e.end());
  sums.o.assign(dimension, 0.0f);
  float lanes[16] = {};
  for (std::uint32_t t = begin; t < end; ++t) {
    const float weight = reference_exp(e[t - begin] - sums.m);
    lanes[t % 16] += weight;
    for (std::uint32_t d = 0; d < dimension; ++d)
      sums.o[d] = std::fma(weight, value_at<Type>(task, t, d), sums.o[d]);
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

template <kv_type Type>
void attend(const attention_task& task) {
  const std::uint32_t dimension = task.store.dimension;
  for (std::uint32_t row = task.row_begin; row < task.row_end; ++row) {
    const std::uint32_t token = row / task.group,
                        head = task.kv_head * task.group + row % task.group;
    const std::uint32_t end = task.first_position + token + 1;
    std::vector<float> q(dimension);
    for (std::uint32_t d = 0; d < dimension; ++d)
      q[d] = task.queries[token * task.query_stride + head * dimension + d] * task.scale;
    span_sums all = compute_span<Type>(task, q, 0, std::min(end, attention_span));
    for (std::uint32_t begin = attention_span; begin < end; begin += attention_span)
      merge(all, compute_span<Type>(task, q, begin, std::min(end, begin + attention_span)));
    float* out = task.out + token * task.out_stride + head * dimension;
    for (std::uint32_t d = 0; d < dimension; ++d) out[d] = all.o[d] / all.l;
  }
}

}  // namespace

const attention_ops attention_reference{store_halves, attend<kv_type::f16>};
const attention_ops attention_q8_reference{store_bytes, attend<kv_type::q8_0>};

}  // namespace troupe::kernels
