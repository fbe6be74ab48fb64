// The contract of matmul.hpp written down plainly, from the file's own bytes. Judge of every other
// variant.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul_layout.hpp"

namespace troupe::kernels {
namespace {

template <class T>
T read(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float widen_f32(const std::uint8_t* row, std::uint64_t k) {
  return read<float>(row + 4 * k);
}
float widen_f16(const std::uint8_t* row, std::uint64_t k) {
  return half_to_float(read<std::uint16_t>(row + 2 * k));
}
float widen_bf16(const std::uint8_t* row, std::uint64_t k) {
  return bfloat_to_float(read<std::uint16_t>(row + 2 * k));
}

template <float (*Widen)(const std::uint8_t*, std::uint64_t)>
float float_dot(const std::uint8_t* w, const float* x, std::uint64_t k) {
  float lanes[16] = {};
  const std::uint64_t padded = (k + 15) / 16 * 16;
  for (std::uint64_t i = 0; i < padded; ++i)
    lanes[i % 16] = std::fma(i < k ? Widen(w, i) : 0.0f, i < k ? x[i] : 0.0f, lanes[i % 16]);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

template <float (*Widen)(const std::uint8_t*, std::uint64_t)>
void multiply_float(const packed_view& w, const activation_view& x, std::uint64_t m,
                    std::uint64_t n_begin, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  for (std::uint64_t row = 0; row < m; ++row)
    for (std::uint64_t n = n_begin; n < n_end; ++n)
      y[row * y_stride + n] =
          float_dot<Widen>(w.source + n * w.source_stride, x.values + row * x.stride, w.k);
}

// One block of one row: the integer sums and the float scales of the contract.
struct block_terms {
  float d = 0, dmin = 0;
  std::int32_t isum = 0, msum = 0;
};

block_terms terms_q8_0(const std::uint8_t* block, const std::int8_t* q) {
  block_terms t{.d = half_to_float(read<std::uint16_t>(block))};
  for (int i = 0; i < 32; ++i) t.isum += static_cast<std::int8_t>(block[2 + i]) * q[i];
  return t;
}

block_terms terms_q4_0(const std::uint8_t* block, const std::int8_t* q) {
  block_terms t{.d = half_to_float(read<std::uint16_t>(block))};
  for (int i = 0; i < 16; ++i) {
    t.isum += ((block[2 + i] & 15) - 8) * q[i];
    t.isum += ((block[2 + i] >> 4) - 8) * q[i + 16];
  }
  return t;
}

int k_scale(const std::uint8_t* packed, int j) {
  return j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
}
int k_minimum(const std::uint8_t* packed, int j) {
  return j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
}

// high: 32 bytes of fifth bits, or null.
block_terms terms_q45_k(const std::uint8_t* block, const std::uint8_t* high,
                        const std::uint8_t* nibbles, const std::int8_t* q) {
  block_terms t{.d = half_to_float(read<std::uint16_t>(block)),
                .dmin = half_to_float(read<std::uint16_t>(block + 2))};
  for (int i = 0; i < 256; ++i) {
    const int j = i / 32;
    int value = nibbles[j / 2 * 32 + i % 32] >> (j % 2 * 4) & 15;
    if (high != nullptr) value |= (high[i % 32] >> j & 1) << 4;
    t.isum += k_scale(block + 4, j) * value * q[i];
    t.msum += k_minimum(block + 4, j) * q[i];
  }
  return t;
}

block_terms terms_q4_k(const std::uint8_t* block, const std::int8_t* q) {
  return terms_q45_k(block, nullptr, block + 16, q);
}
block_terms terms_q5_k(const std::uint8_t* block, const std::int8_t* q) {
  return terms_q45_k(block, block + 16, block + 48, q);
}

block_terms terms_q6_k(const std::uint8_t* block, const std::int8_t* q) {
  block_terms t{.d = half_to_float(read<std::uint16_t>(block + 208))};
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, at = i % 32;
    const int low = block[half * 64 + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
    const int high = block[128 + half * 32 + at] >> (quarter * 2) & 3;
    t.isum += static_cast<std::int8_t>(block[192 + i / 16]) * ((low | high << 4) - 32) * q[i];
  }
  return t;
}

template <int Values, int Bytes, bool Minimum,
          block_terms (*Terms)(const std::uint8_t*, const std::int8_t*)>
void multiply_quantized(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  const std::uint64_t blocks = w.k / Values;
  for (std::uint64_t row = 0; row < m; ++row) {
    for (std::uint64_t n = n_begin; n < n_end; ++n) {
      float acc = 0;
      for (std::uint64_t b = 0; b < blocks; ++b) {
        const block_terms t =
            Terms(w.source + n * w.source_stride + b * Bytes, x.q + row * x.stride + b * Values);
        const float d = x.d[(row / group_rows * blocks + b) * group_rows + row % group_rows];
        acc = std::fma(t.d * d, static_cast<float>(t.isum), acc);
        if (Minimum) acc = std::fma(-(t.dmin * d), static_cast<float>(t.msum), acc);
      }
      y[row * y_stride + n] = acc;
    }
  }
}

// Quantizes one block and returns its d.
float quantize_block(const float* x, int values, std::int8_t* q) {
  float largest = 0;
  bool finite = true;
  for (int i = 0; i < values; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::fmax(largest, std::fabs(x[i]));
    q[i] = 0;
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  const float d = largest / 127.0f;
  if (d < std::numeric_limits<float>::min()) return 0;
  const float inverse = 1.0f / d;
  for (int i = 0; i < values; ++i) q[i] = static_cast<std::int8_t>(std::nearbyint(x[i] * inverse));
  return d;
}

std::int32_t sum_of(const std::int8_t* q, int values) {
  std::int32_t sum = 0;
  for (int i = 0; i < values; ++i) sum += q[i];
  return sum;
}

void quantize_by_32(const float* x, std::uint64_t k, std::int8_t* q, float* d, std::int32_t* sums) {
  for (std::uint64_t b = 0; b < k / 32; ++b) {
    d[b * group_rows] = quantize_block(x + b * 32, 32, q + b * 32);
    sums[b] = sum_of(q + b * 32, 32);
  }
}

void quantize_by_256(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                     std::int16_t* sums16, std::int16_t* sums32) {
  constexpr int order[] = {0, 2, 1, 3};
  for (std::uint64_t b = 0; b < k / k_block; ++b) {
    d[b * group_rows] = quantize_block(x + b * k_block, k_block, q + b * k_block);
    for (std::uint64_t i = 0; i < 16; ++i)
      sums16[b * 16 + i] =
          static_cast<std::int16_t>(sum_of(q + b * k_block + (i / 4 * 4 + order[i % 4]) * 16, 16));
    for (std::uint64_t i = 0; i < 8; ++i)
      sums32[b * 8 + i] =
          static_cast<std::int16_t>(sum_of(q + b * k_block + (i / 4 * 4 + order[i % 4]) * 32, 32));
  }
}

}  // namespace

const matmul_kernels reference_kernels = {
    .packed = false,
    .f32 = multiply_float<widen_f32>,
    .f16 = multiply_float<widen_f16>,
    .bf16 = multiply_float<widen_bf16>,
    .q8_0 = multiply_quantized<32, 34, false, terms_q8_0>,
    .q4_0 = multiply_quantized<32, 18, false, terms_q4_0>,
    .q4_k = multiply_quantized<256, 144, true, terms_q4_k>,
    .q5_k = multiply_quantized<256, 176, true, terms_q5_k>,
    .q6_k = multiply_quantized<256, 210, false, terms_q6_k>,
    .quantize_by_32 = quantize_by_32,
    .quantize_by_256 = quantize_by_256,
};

}  // namespace troupe::kernels
