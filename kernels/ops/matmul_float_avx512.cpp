// Float weights on AVX-512: the contract's 16 lanes are one vector. A few rows of x read the
// weights where they lie; more rows share weights that are widened once, four rows by six rows of x
// in registers.
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx512.hpp"

namespace troupe::kernels {
namespace {

constexpr int tile_n = 4, tile_m = 6;
constexpr std::uint64_t stretch = 512;  // k widened at a time
constexpr std::uint64_t panel_n =
    32;  // output rows of a pass: their widened weights and lanes, and the rows of x
constexpr std::uint64_t panel_m = 96;  // beside them, stay in L2

inline __mmask16 first(std::uint64_t count) {
  return static_cast<__mmask16>(count < 16 ? (1u << count) - 1 : 0xffff);
}

struct f32_weight {
  static constexpr std::uint64_t bytes = 4;
  static __m512 load(const std::uint8_t* at) { return _mm512_loadu_ps(at); }
  static __m512 load(const std::uint8_t* at, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, at);
  }
};
struct f16_weight {
  static constexpr std::uint64_t bytes = 2;
  static __m512 load(const std::uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static __m512 load(const std::uint8_t* at, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
  }
};
struct bf16_weight {
  static constexpr std::uint64_t bytes = 2;
  static __m512 widen(__m256i half) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static __m512 load(const std::uint8_t* at) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static __m512 load(const std::uint8_t* at, __mmask16 mask) {
    return widen(_mm256_maskz_loadu_epi16(mask, at));
  }
};

// The fixed tree for four outputs at once: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
inline __m128 reduce(const __m512* lanes) {
  __m128 four[4];
  for (int i = 0; i < 4; ++i) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(lanes[i]), _mm512_extractf32x8_ps(lanes[i], 1));
    four[i] = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  }
  _MM_TRANSPOSE4_PS(four[0], four[1], four[2], four[3]);
  return _mm_add_ps(_mm_add_ps(four[0], four[2]), _mm_add_ps(four[1], four[3]));
}

inline void store(float* y, std::uint64_t count, __m128 values) {
  _mm_mask_storeu_ps(y, static_cast<__mmask8>(count < 4 ? (1u << count) - 1 : 15), values);
}

// 8 rows of weights read in place, M rows of x. Rows past n_end repeat the last one and are not
// stored.
template <class Weight, int M>
void in_place(const packed_view& w, const activation_view& x, std::uint64_t n, std::uint64_t n_end,
              float* y, std::uint64_t y_stride) {
  constexpr int R = 8;
  const std::uint8_t* rows[R];
  for (std::uint64_t r = 0; r < R; ++r)
    rows[r] = w.source + (n + r < n_end ? n + r : n_end - 1) * w.source_stride;
  __m512 acc[M][R];
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < R; ++r) acc[i][r] = _mm512_setzero_ps();
  std::uint64_t k = 0;
  for (; k + 16 <= w.k; k += 16) {
    __m512 xs[M];
    for (int i = 0; i < M; ++i) xs[i] = _mm512_loadu_ps(x.values + i * x.stride + k);
    for (int r = 0; r < R; ++r) {
      const __m512 weight = Weight::load(rows[r] + k * Weight::bytes);
      for (int i = 0; i < M; ++i) acc[i][r] = _mm512_fmadd_ps(weight, xs[i], acc[i][r]);
    }
  }
  if (k < w.k) {
    const __mmask16 mask = first(w.k - k);
    for (int r = 0; r < R; ++r) {
      const __m512 weight = Weight::load(rows[r] + k * Weight::bytes, mask);
      for (int i = 0; i < M; ++i)
        acc[i][r] = _mm512_fmadd_ps(
            weight, _mm512_maskz_loadu_ps(mask, x.values + i * x.stride + k), acc[i][r]);
    }
  }
  for (int i = 0; i < M; ++i) {
    float* to = y + i * y_stride + n;
    store(to, n_end - n, reduce(acc[i]));
    if (n_end - n > 4) store(to + 4, n_end - n - 4, reduce(acc[i] + 4));
  }
}

// Lanes of tile_n rows of widened weights and M rows of x over `length` k (weights are padded with
// zeros).
template <int M>
void tile(const float (*wide)[stretch], const float* x, std::uint64_t x_stride,
          std::uint64_t length, bool begin, __m512 (*lanes)[tile_n]) {
  __m512 acc[M][tile_n];
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < tile_n; ++r) acc[i][r] = begin ? _mm512_setzero_ps() : lanes[i][r];
  std::uint64_t k = 0;
  for (; k + 16 <= length; k += 16) {
    __m512 ws[tile_n];
    for (int r = 0; r < tile_n; ++r) ws[r] = _mm512_loadu_ps(wide[r] + k);
    for (int i = 0; i < M; ++i) {
      const __m512 xs = _mm512_loadu_ps(x + i * x_stride + k);
      for (int r = 0; r < tile_n; ++r) acc[i][r] = _mm512_fmadd_ps(ws[r], xs, acc[i][r]);
    }
  }
  if (k < length) {
    const __mmask16 mask = first(length - k);
    for (int i = 0; i < M; ++i) {
      const __m512 xs = _mm512_maskz_loadu_ps(mask, x + i * x_stride + k);
      for (int r = 0; r < tile_n; ++r)
        acc[i][r] = _mm512_fmadd_ps(_mm512_loadu_ps(wide[r] + k), xs, acc[i][r]);
    }
  }
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < tile_n; ++r) lanes[i][r] = acc[i][r];
}

using tile_function = void(const float (*)[stretch], const float*, std::uint64_t, std::uint64_t,
                           bool, __m512 (*)[tile_n]);
constexpr tile_function* tiles[tile_m] = {tile<1>, tile<2>, tile<3>, tile<4>, tile<5>, tile<6>};

template <class Weight>
void widen(const std::uint8_t* from, std::uint64_t length, float* to) {
  std::uint64_t k = 0;
  for (; k + 16 <= length; k += 16) _mm512_store_ps(to + k, Weight::load(from + k * Weight::bytes));
  if (k < length)
    _mm512_store_ps(to + k, Weight::load(from + k * Weight::bytes, first(length - k)));
}

struct panel_memory {
  alignas(64) float wide[panel_n][stretch];
  __m512 lanes[panel_n / tile_n][panel_m][tile_n];
};

// Widens `length` k of the panel's rows. Rows past n_end repeat the last one and are not stored.
template <class Weight>
void widen_rows(const packed_view& w, std::uint64_t n, std::uint64_t n_end, std::uint64_t k0,
                std::uint64_t length, panel_memory& memory) {
  for (std::uint64_t r = 0; r < panel_n && n + r / tile_n * tile_n < n_end; ++r)
    widen<Weight>(
        w.source + (n + r < n_end ? n + r : n_end - 1) * w.source_stride + k0 * Weight::bytes,
        length, memory.wide[r]);
}

// Asks for the part of row `r` that the next stretch will widen, so that memory works while the
// tiles compute.
template <class Weight>
inline void prefetch_row(const packed_view& w, std::uint64_t r, std::uint64_t k0) {
  if (r >= w.n || k0 >= w.k) return;
  const std::uint64_t length = w.k - k0 < stretch ? w.k - k0 : stretch;
  const std::uint8_t* at = w.source + r * w.source_stride + k0 * Weight::bytes;
  for (std::uint64_t i = 0; i < length * Weight::bytes; i += 64)
    _mm_prefetch(reinterpret_cast<const char*>(at + i), _MM_HINT_T1);
}

// panel_n output rows for `count` rows of x.
template <class Weight>
void panel(const packed_view& w, const float* x, std::uint64_t x_stride, std::uint64_t count,
           std::uint64_t n, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  panel_memory memory;
  const std::uint64_t width = n_end - n < panel_n ? n_end - n : panel_n;
  const std::uint64_t tiles_n = (width + tile_n - 1) / tile_n;
  for (std::uint64_t k0 = 0; k0 < w.k; k0 += stretch) {
    const std::uint64_t length = w.k - k0 < stretch ? w.k - k0 : stretch;
    widen_rows<Weight>(w, n, n_end, k0, length, memory);
    const bool last = k0 + stretch >= w.k;
    std::uint64_t ahead = last ? n + panel_n : n;
    for (std::uint64_t i = 0; i < count; i += tile_m) {
      for (std::uint64_t t = 0; t < tiles_n; ++t)
        tiles[count - i < tile_m ? count - i - 1 : tile_m - 1](
            memory.wide + t * tile_n, x + i * x_stride + k0, x_stride, length, k0 == 0,
            memory.lanes[t] + i);
      for (int r = 0; r < 2 && ahead < (last ? n + 2 * panel_n : n + width); ++r, ++ahead)
        prefetch_row<Weight>(w, ahead, last ? 0 : k0 + stretch);
    }
  }
  for (std::uint64_t i = 0; i < count; ++i)
    for (std::uint64_t t = 0; t < tiles_n; ++t)
      store(y + i * y_stride + n + t * tile_n, width - t * tile_n, reduce(memory.lanes[t][i]));
}

template <class Weight>
void multiply_float(const packed_view& w, const activation_view& x, std::uint64_t m,
                    std::uint64_t n_begin, std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  if (m <= 3) {
    for (std::uint64_t n = n_begin; n < n_end; n += 8) {
      if (m == 1) in_place<Weight, 1>(w, x, n, n_end, y, y_stride);
      if (m == 2) in_place<Weight, 2>(w, x, n, n_end, y, y_stride);
      if (m == 3) in_place<Weight, 3>(w, x, n, n_end, y, y_stride);
    }
    return;
  }
  for (std::uint64_t m0 = 0; m0 < m; m0 += panel_m)
    for (std::uint64_t n = n_begin; n < n_end; n += panel_n)
      panel<Weight>(w, x.values + m0 * x.stride, x.stride, m - m0 < panel_m ? m - m0 : panel_m, n,
                    n_end, y + m0 * y_stride, y_stride);
}

}  // namespace

void multiply_f32_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                         std::uint64_t n_begin, std::uint64_t n_end, float* y,
                         std::uint64_t y_stride) {
  multiply_float<f32_weight>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_f16_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                         std::uint64_t n_begin, std::uint64_t n_end, float* y,
                         std::uint64_t y_stride) {
  multiply_float<f16_weight>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_bf16_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_float<bf16_weight>(w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace troupe::kernels
#endif
