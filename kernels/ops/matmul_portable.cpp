// The matrix product on the packed form in plain C++: loops over the 16 rows of a group that any
// compiler turns into vectors of whatever the machine has. x is quantized as the reference does it.
#include <cmath>
#include <cstring>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul_layout.hpp"

namespace troupe::kernels {
namespace {

constexpr int rows = group_rows;

template <class T>
T read(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// One rounding of a * b + c. Where the machine has no such instruction the library's fma is very
// slow: the product of two floats is exact in double, so the sum rounded to odd there rounds to
// float as the exact sum would.
inline float fused(float a, float b, float c) {
#ifdef FP_FAST_FMAF
  return std::fma(a, b, c);
#else
  const double product = static_cast<double>(a) * b, addend = c;
  const double sum = product + addend;
  const double part = sum - product;
  const double lost = (product - (sum - part)) + (addend - part);
  std::uint64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  // An inexact sum with an even last bit moves one step toward what was lost. Infinities and NaN
  // have lost = NaN.
  const bool inexact = lost > 0 || lost < 0;
  const bool away = (lost > 0) == (sum > 0);
  const std::uint64_t odd = away ? bits + 1 : bits - 1;
  bits = inexact && (bits & 1) == 0 ? odd : bits;
  double rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return static_cast<float>(rounded);
#endif
}

struct from_f32 {
  static constexpr int bytes = 4;
  static float widen(const std::uint8_t* at) { return read<float>(at); }
};
struct from_f16 {
  static constexpr int bytes = 2;
  static float widen(const std::uint8_t* at) { return half_to_float(read<std::uint16_t>(at)); }
};
struct from_bf16 {
  static constexpr int bytes = 2;
  static float widen(const std::uint8_t* at) { return bfloat_to_float(read<std::uint16_t>(at)); }
};

// Lanes of up to `stretch` k are widened once and used by every row of x.
constexpr std::uint64_t stretch = 1024;
constexpr std::uint64_t batch = 32;

template <class Weight>
void multiply_float(const packed_view& w, const activation_view& x, std::uint64_t m,
                    std::uint64_t n_begin, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  float wide[stretch], lanes[batch][16];
  for (std::uint64_t m0 = 0; m0 < m; m0 += batch) {
    const std::uint64_t count = m - m0 < batch ? m - m0 : batch;
    for (std::uint64_t n = n_begin; n < n_end; ++n) {
      std::memset(lanes, 0, sizeof lanes);
      for (std::uint64_t k0 = 0; k0 < w.k; k0 += stretch) {
        const std::uint64_t length = w.k - k0 < stretch ? w.k - k0 : stretch;
        const std::uint64_t padded = (length + 15) / 16 * 16;
        for (std::uint64_t i = 0; i < length; ++i)
          wide[i] = Weight::widen(w.source + n * w.source_stride + (k0 + i) * Weight::bytes);
        for (std::uint64_t i = length; i < padded; ++i) wide[i] = 0;
        for (std::uint64_t row = 0; row < count; ++row) {
          const float* from = x.values + (m0 + row) * x.stride + k0;
          float* lane = lanes[row];
          for (std::uint64_t i = 0; i < length / 16 * 16; i += 16)
            for (int j = 0; j < 16; ++j) lane[j] = fused(wide[i + j], from[i + j], lane[j]);
          for (std::uint64_t i = length / 16 * 16; i < padded; ++i)
            lane[i % 16] = fused(wide[i], i < length ? from[i] : 0.0f, lane[i % 16]);
        }
      }
      for (std::uint64_t row = 0; row < count; ++row) {
        for (int half = 8; half > 0; half /= 2)
          for (int i = 0; i < half; ++i) lanes[row][i] += lanes[row][i + half];
        y[(m0 + row) * y_stride + n] = lanes[row][0];
      }
    }
  }
}

// A block of 16 rows unpacked: values[k][row], and for each sub-block scale[j][row] and
// minimum[j][row].
struct open_block {
  std::int8_t values[k_block][rows];
  std::int32_t scale[16][rows];
  std::int32_t minimum[8][rows];
  float d[rows], dmin[rows];
};

void read_halfs(const std::uint8_t* from, float* to) {
  for (int r = 0; r < rows; ++r) to[r] = half_to_float(read<std::uint16_t>(from + 2 * r));
}

struct open_q8_0 {
  static constexpr int quants = q8_0_quants, scales = q8_0_scales, values = 32, subs = 1;
  static constexpr bool minimum = false;
  static void open(const std::uint8_t* quant, const std::uint8_t* scale, open_block& out) {
    read_halfs(scale, out.d);
    for (int k = 0; k < 32; ++k)
      for (int r = 0; r < rows; ++r)
        out.values[k][r] = static_cast<std::int8_t>(quant[k / 4 * 64 + r * 4 + k % 4]);
  }
};

struct open_q4_0 {
  static constexpr int quants = q4_0_quants, scales = q4_0_scales, values = 32, subs = 1;
  static constexpr bool minimum = false;
  static void open(const std::uint8_t* quant, const std::uint8_t* scale, open_block& out) {
    read_halfs(scale, out.d);
    for (int k = 0; k < 16; ++k)
      for (int r = 0; r < rows; ++r) {
        const int both = quant[k / 4 * 64 + r * 4 + k % 4];
        out.values[k][r] = static_cast<std::int8_t>((both & 15) - 8);
        out.values[k + 16][r] = static_cast<std::int8_t>((both >> 4) - 8);
      }
  }
};

void open_k_scales(const std::uint8_t* from, open_block& out) {
  read_halfs(from, out.d);
  read_halfs(from + 32, out.dmin);
  for (int j = 0; j < 4; ++j)
    for (int r = 0; r < rows; ++r) {
      const std::uint8_t* at = from + 64 + r * 4 + j;
      const int a = at[0], b = at[64], c = at[128];
      out.scale[j][r] = (a & 15) | (c & 3) << 4;
      out.scale[j + 4][r] = (b & 15) | (c >> 2 & 3) << 4;
      out.minimum[j][r] = a >> 4 | (c >> 4 & 3) << 4;
      out.minimum[j + 4][r] = b >> 4 | (c >> 6) << 4;
    }
}

template <bool Fifth>
struct open_q45_k {
  static constexpr int quants = Fifth ? q5_k_quants : q4_k_quants, scales = q4_k_scales;
  static constexpr int values = 256, subs = 8;
  static constexpr bool minimum = true;
  static void open(const std::uint8_t* quant, const std::uint8_t* scale, open_block& out) {
    open_k_scales(scale, out);
    for (int k = 0; k < 256; ++k)
      for (int r = 0; r < rows; ++r) {
        const int j = k / 32, at = k % 32 / 4 * 64 + r * 4 + k % 4;
        int value = quant[j / 2 * 512 + at] >> (j % 2 * 4) & 15;
        if (Fifth) value |= (quant[2048 + at] >> j & 1) << 4;
        out.values[k][r] = static_cast<std::int8_t>(value);
      }
  }
};

struct open_q6_k {
  static constexpr int quants = q6_k_quants, scales = q6_k_scales, values = 256, subs = 16;
  static constexpr bool minimum = false;
  static void open(const std::uint8_t* quant, const std::uint8_t* scale, open_block& out) {
    read_halfs(scale + 256, out.d);
    for (int j = 0; j < 16; ++j)
      for (int r = 0; r < rows; ++r)
        out.scale[j][r] = static_cast<std::int8_t>(scale[j / 4 * 64 + r * 4 + j % 4]);
    for (int k = 0; k < 256; ++k)
      for (int r = 0; r < rows; ++r) {
        const int half = k / 128, quarter = k % 128 / 32, at = k % 32 / 4 * 64 + r * 4 + k % 4;
        const int low = quant[half * 1024 + quarter % 2 * 512 + at] >> (quarter / 2 * 4) & 15;
        const int high = quant[2048 + half * 512 + at] >> (quarter * 2) & 3;
        out.values[k][r] = static_cast<std::int8_t>((low | high << 4) - 32);
      }
  }
};

template <class Format>
void add_block(const open_block& w, const std::int8_t* q, float d, float* acc) {
  constexpr int length = Format::values / Format::subs;
  std::int32_t isum[rows] = {}, msum[rows] = {};
  for (int j = 0; j < Format::subs; ++j) {
    std::int32_t dot[rows] = {}, sum = 0;
    for (int k = j * length; k < (j + 1) * length; ++k) {
      sum += q[k];
      for (int r = 0; r < rows; ++r)
        dot[r] += static_cast<std::int16_t>(w.values[k][r]) * static_cast<std::int16_t>(q[k]);
    }
    for (int r = 0; r < rows; ++r) {
      isum[r] += Format::subs == 1 ? dot[r] : w.scale[j][r] * dot[r];
      if (Format::minimum) msum[r] += w.minimum[j % 8][r] * sum;
    }
  }
  for (int r = 0; r < rows; ++r) {
    acc[r] = fused(w.d[r] * d, static_cast<float>(isum[r]), acc[r]);
    if (Format::minimum) acc[r] = fused(-(w.dmin[r] * d), static_cast<float>(msum[r]), acc[r]);
  }
}

template <class Format>
void multiply_quantized(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  const std::uint64_t blocks = w.k / Format::values;
  open_block open;
  float acc[batch][rows];
  for (std::uint64_t n = n_begin; n < n_end; n += rows) {
    const std::uint8_t* quants = w.groups + n / rows * w.group_stride;
    const std::uint8_t* scales = quants + blocks * Format::quants;
    const std::uint64_t width = n_end - n < rows ? n_end - n : rows;
    for (std::uint64_t m0 = 0; m0 < m; m0 += batch) {
      const std::uint64_t count = m - m0 < batch ? m - m0 : batch;
      std::memset(acc, 0, sizeof acc);
      for (std::uint64_t b = 0; b < blocks; ++b) {
        Format::open(quants + b * Format::quants, scales + b * Format::scales, open);
        for (std::uint64_t row = 0; row < count; ++row)
          add_block<Format>(open, x.q + (m0 + row) * x.stride + b * Format::values,
                            x.d[((m0 + row) / rows * blocks + b) * rows + (m0 + row) % rows],
                            acc[row]);
      }
      for (std::uint64_t row = 0; row < count; ++row)
        std::memcpy(y + (m0 + row) * y_stride + n, acc[row], width * sizeof(float));
    }
  }
}

// x in plain C++ is quantized as the reference does it.
void quantize_by_32(const float* x, std::uint64_t k, std::int8_t* q, float* d, std::int32_t* sums) {
  reference_kernels.quantize_by_32(x, k, q, d, sums);
}
void quantize_by_256(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                     std::int16_t* sums16, std::int16_t* sums32) {
  reference_kernels.quantize_by_256(x, k, q, d, sums16, sums32);
}

}  // namespace

const matmul_kernels portable_kernels = {
    .packed = true,
    .f32 = multiply_float<from_f32>,
    .f16 = multiply_float<from_f16>,
    .bf16 = multiply_float<from_bf16>,
    .q8_0 = multiply_quantized<open_q8_0>,
    .q4_0 = multiply_quantized<open_q4_0>,
    .q4_k = multiply_quantized<open_q45_k<false>>,
    .q5_k = multiply_quantized<open_q45_k<true>>,
    .q6_k = multiply_quantized<open_q6_k>,
    .quantize_by_32 = quantize_by_32,
    .quantize_by_256 = quantize_by_256,
};

}  // namespace troupe::kernels
