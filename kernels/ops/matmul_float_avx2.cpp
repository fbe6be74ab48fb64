// Float weights on AVX2: the contract's 16 lanes are two vectors of 8. One row of x reads the
// weights where they lie; more rows share weights that are widened once, two rows by three rows of
// x in registers.
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx2.hpp"

namespace troupe::kernels {
namespace {

constexpr int tile_n = 2, tile_m = 3;
constexpr std::uint64_t stretch = 512;  // k widened at a time: weights and x tile stay in L1
constexpr std::uint64_t batch = 48;     // rows of x that stay in L2

struct f32_weight {
  static constexpr std::uint64_t bytes = 4;
  static __m256 load(const std::uint8_t* at) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(at));
  }
};
struct f16_weight {
  static constexpr std::uint64_t bytes = 2;
  static __m256 load(const std::uint8_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
};
struct bf16_weight {
  static constexpr std::uint64_t bytes = 2;
  static __m256 load(const std::uint8_t* at) {
    const __m256i wide =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
};

// Lanes 0 to 7 and 8 to 15.
struct lanes16 {
  __m256 low, high;
};

// 16 weights, or the last `count` of a row followed by zeros.
template <class Weight>
inline lanes16 load_weights(const std::uint8_t* at, std::uint64_t count) {
  if (count >= 16) return {Weight::load(at), Weight::load(at + 8 * Weight::bytes)};
  alignas(32) std::uint8_t padded[64] = {};
  __builtin_memcpy(padded, at, count * Weight::bytes);
  return {Weight::load(padded), Weight::load(padded + 8 * Weight::bytes)};
}
inline lanes16 load_x(const float* at, std::uint64_t count) {
  return load_weights<f32_weight>(reinterpret_cast<const std::uint8_t*>(at), count);
}

// The fixed tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
inline float reduce(const lanes16& lanes) {
  const __m256 eight = _mm256_add_ps(lanes.low, lanes.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

inline void add(lanes16& acc, const lanes16& w, const lanes16& x) {
  acc.low = _mm256_fmadd_ps(w.low, x.low, acc.low);
  acc.high = _mm256_fmadd_ps(w.high, x.high, acc.high);
}

// 4 rows of weights read in place, one row of x. Rows past n_end repeat the last one and are not
// stored.
template <class Weight>
void in_place(const packed_view& w, const float* x, std::uint64_t n, std::uint64_t n_end,
              float* y) {
  constexpr std::uint64_t R = 4;
  const std::uint8_t* rows[R];
  lanes16 acc[R];
  for (std::uint64_t r = 0; r < R; ++r) {
    rows[r] = w.source + (n + r < n_end ? n + r : n_end - 1) * w.source_stride;
    acc[r] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  }
  for (std::uint64_t k = 0; k < w.k; k += 16) {
    const lanes16 xs = load_x(x + k, w.k - k);
    for (std::uint64_t r = 0; r < R; ++r)
      add(acc[r], load_weights<Weight>(rows[r] + k * Weight::bytes, w.k - k), xs);
  }
  for (std::uint64_t r = 0; r < R && n + r < n_end; ++r) y[n + r] = reduce(acc[r]);
}

// Lanes of tile_n rows of widened weights and M rows of x over `length` k (weights are padded with
// zeros).
template <int M>
void tile(const float (*wide)[stretch], const float* x, std::uint64_t x_stride,
          std::uint64_t length, bool begin, lanes16 (*lanes)[tile_n]) {
  lanes16 acc[M][tile_n];
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < tile_n; ++r)
      acc[i][r] = begin ? lanes16{_mm256_setzero_ps(), _mm256_setzero_ps()} : lanes[i][r];
  for (std::uint64_t k = 0; k < length; k += 16) {
    lanes16 ws[tile_n];
    for (int r = 0; r < tile_n; ++r) ws[r] = load_x(wide[r] + k, 16);
    for (int i = 0; i < M; ++i) {
      const lanes16 xs = load_x(x + static_cast<std::uint64_t>(i) * x_stride + k, length - k);
      for (int r = 0; r < tile_n; ++r) add(acc[i][r], ws[r], xs);
    }
  }
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < tile_n; ++r) lanes[i][r] = acc[i][r];
}

using tile_function = void(const float (*)[stretch], const float*, std::uint64_t, std::uint64_t,
                           bool, lanes16 (*)[tile_n]);
constexpr tile_function* tiles[tile_m] = {tile<1>, tile<2>, tile<3>};

template <class Weight>
void panel(const packed_view& w, const float* x, std::uint64_t x_stride, std::uint64_t count,
           std::uint64_t n, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  alignas(32) float wide[tile_n][stretch];
  lanes16 lanes[batch][tile_n];
  for (std::uint64_t k0 = 0; k0 < w.k; k0 += stretch) {
    const std::uint64_t length = w.k - k0 < stretch ? w.k - k0 : stretch;
    for (std::uint64_t r = 0; r < tile_n; ++r) {
      const std::uint8_t* row =
          w.source + (n + r < n_end ? n + r : n_end - 1) * w.source_stride + k0 * Weight::bytes;
      for (std::uint64_t k = 0; k < length; k += 16) {
        const lanes16 opened = load_weights<Weight>(row + k * Weight::bytes, length - k);
        _mm256_store_ps(wide[r] + k, opened.low);
        _mm256_store_ps(wide[r] + k + 8, opened.high);
      }
    }
    for (std::uint64_t i = 0; i < count; i += tile_m)
      tiles[count - i < tile_m ? count - i - 1 : tile_m - 1](wide, x + i * x_stride + k0, x_stride,
                                                             length, k0 == 0, lanes + i);
  }
  for (std::uint64_t i = 0; i < count; ++i)
    for (std::uint64_t r = 0; r < tile_n && n + r < n_end; ++r)
      y[i * y_stride + n + r] = reduce(lanes[i][r]);
}

template <class Weight>
void multiply_float(const packed_view& w, const activation_view& x, std::uint64_t m,
                    std::uint64_t n_begin, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  if (m == 1) {
    for (std::uint64_t n = n_begin; n < n_end; n += 4) in_place<Weight>(w, x.values, n, n_end, y);
    return;
  }
  for (std::uint64_t m0 = 0; m0 < m; m0 += batch)
    for (std::uint64_t n = n_begin; n < n_end; n += tile_n)
      panel<Weight>(w, x.values + m0 * x.stride, x.stride, m - m0 < batch ? m - m0 : batch, n,
                    n_end, y + m0 * y_stride, y_stride);
}

}  // namespace

void multiply_f32_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  multiply_float<f32_weight>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_f16_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  multiply_float<f16_weight>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_bf16_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_float<bf16_weight>(w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace troupe::kernels
#endif
