// The contract of elementwise.hpp, written down as plainly as it can be.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/ops/lane_sum.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {
namespace {

void rms_norm(const float* x, const float* weight, std::uint64_t n, float epsilon, float* y) {
  float lanes[16] = {};
  for (std::uint64_t i = 0; i < n; ++i) lanes[i % 16] = std::fma(x[i], x[i], lanes[i % 16]);
  const float scale = 1.0f / std::sqrt(tree_sum(lanes) / static_cast<float>(n) + epsilon);
  for (std::uint64_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void add(float* x, const float* y, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) x[i] += y[i];
}

void silu_multiply(float* gate, const float* up, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i)
    gate[i] = gate[i] / (1.0f + reference_exp(-gate[i])) * up[i];
}

void rotate(float* heads, std::uint64_t count, std::uint64_t dimension, const float* cosines,
            const float* sines) {
  for (std::uint64_t h = 0; h < count; ++h) {
    float* x = heads + h * dimension;
    for (std::uint64_t i = 0; i < dimension; i += 2) {
      const float first = x[i], second = x[i + 1];
      x[i] = first * cosines[i] + second * sines[i];
      x[i + 1] = second * cosines[i + 1] + first * sines[i + 1];
    }
  }
}

float largest(const float* x, std::uint64_t n) {
  float best = x[0];
  for (std::uint64_t i = 1; i < n; ++i)
    if (x[i] > best) best = x[i];
  return best;
}

double exponentials(const float* x, std::uint64_t n, float shift, float factor, float* out) {
  double sum = 0;
  for (std::uint64_t begin = 0; begin < n; begin += exponential_sum_block) {
    const std::uint64_t end = std::min(n, begin + exponential_sum_block);
    float lanes[16] = {};
    for (std::uint64_t i = begin; i < end; ++i) {
      const float e = reference_exp((x[i] - shift) * factor);
      lanes[i % 16] += e;
      if (out != nullptr) out[i] = e;
    }
    sum += tree_sum(lanes);
  }
  return sum;
}

}  // namespace

float reference_exp(float x) {
  if (x < exp_smallest) return 0.0f;
  if (x > exp_largest) x = exp_largest;
  const float z = std::fma(x, exp_log2e, exp_round);
  const float n = z - exp_round;
  float r = std::fma(n, -exp_ln2_high, x);
  r = std::fma(n, -exp_ln2_low, r);
  float p = exp_terms[exp_term_count - 1];
  for (int i = exp_term_count - 2; i >= 0; --i) p = std::fma(p, r, exp_terms[i]);
  const float y = std::fma(p, r * r, r) + 1.0f;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(y) +
                              (std::bit_cast<std::uint32_t>(z) << 23));
}

float tree_sum(const float* lanes) {
  float s[16];
  for (int i = 0; i < 16; ++i) s[i] = lanes[i];
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) s[i] = s[i] + s[i + half];
  return s[0];
}

const elementwise_ops elementwise_reference{rms_norm, add,     silu_multiply,
                                            rotate,   largest, exponentials};

}  // namespace troupe::kernels
