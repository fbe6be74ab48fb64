// Quantized weights on AVX2: a packed vector of 16 rows is read as two halves of 8 rows. vpmaddubsw
// adds pairs of products in 16 bits, which must not saturate: the largest value of each type says
// how many may be added before they are widened (q8_0 alone needs signs moved to x: |w| <= 128, |q|
// <= 127).
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx2.hpp"

namespace troupe::kernels {
namespace {

using u8 = std::uint8_t;

constexpr int rows_max = 4;  // rows of x that one pass over a group serves

inline __m256i load(const u8* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
inline __m256i four(const void* at) {
  int bytes;
  __builtin_memcpy(&bytes, at, sizeof bytes);
  return _mm256_set1_epi32(bytes);
}
inline __m256 halfs(const u8* at) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}
inline __m256i nibble(__m256i v) {
  return _mm256_and_si256(v, _mm256_set1_epi8(15));
}
inline __m256i high_nibble(__m256i v) {
  return nibble(_mm256_srli_epi16(v, 4));
}
inline __m256i zero() {
  return _mm256_setzero_si256();
}

template <int M>
struct x_tile {
  const std::int8_t* q[M];
  const float* d[M];
  const std::int32_t* sums[M];
  const std::int16_t* sums16[M];
  const std::int16_t* sums32[M];

  x_tile(const activation_view& x, std::uint64_t m0, std::uint64_t block) {
    for (int i = 0; i < M; ++i) {
      const std::uint64_t row = m0 + static_cast<std::uint64_t>(i);
      q[i] = x.q + row * x.stride;
      d[i] = x.d + row / group_rows * group_rows * (x.k / block) + row % group_rows;
      if (x.sums != nullptr) sums[i] = x.sums + row * (x.k / 32);
      if (x.sums16 != nullptr) {
        sums16[i] = x.sums16 + row * (x.k / 16);
        sums32[i] = x.sums32 + row * (x.k / 32);
      }
    }
  }
};

inline __m256 add_scaled(__m256 dw, float d, __m256i isum, __m256 acc) {
  return _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d)), _mm256_cvtepi32_ps(isum), acc);
}

// Byte J of each row's four, sign-extended to both 16-bit halves of the row's dword.
template <int J>
inline __m256i scale_words(__m256i bytes) {
  const __m256i pick =
      _mm256_setr_epi8(-128, J, -128, J, -128, J + 4, -128, J + 4, -128, J + 8, -128, J + 8, -128,
                       J + 12, -128, J + 12, -128, J, -128, J, -128, J + 4, -128, J + 4, -128,
                       J + 8, -128, J + 8, -128, J + 12, -128, J + 12);
  return _mm256_srai_epi16(_mm256_shuffle_epi8(bytes, pick), 8);
}

// Each format adds one block of 8 rows; quant points at the half, `half` selects it among the
// scales.
struct q8_0_format {
  static constexpr std::uint64_t values = 32, quants = q8_0_quants, scales = q8_0_scales;
  template <int M>
  static void add(const u8* quant, const u8* scale, int half, const x_tile<M>& x, std::uint64_t b,
                  __m256* acc) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i isum[M];
    for (int i = 0; i < M; ++i) isum[i] = zero();
    for (int v = 0; v < 8; ++v) {
      const __m256i w = load(quant + 64 * v), size = _mm256_abs_epi8(w);
      for (int i = 0; i < M; ++i) {
        const __m256i q = _mm256_sign_epi8(four(x.q[i] + b * 32 + 4 * static_cast<unsigned>(v)), w);
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(size, q), ones));
      }
    }
    const __m256 dw = halfs(scale + 16 * half);
    for (int i = 0; i < M; ++i) acc[i] = add_scaled(dw, x.d[i][b * group_rows], isum[i], acc[i]);
  }
};

struct q4_0_format {
  static constexpr std::uint64_t values = 32, quants = q4_0_quants, scales = q4_0_scales;
  template <int M>
  static void add(const u8* quant, const u8* scale, int half, const x_tile<M>& x, std::uint64_t b,
                  __m256* acc) {
    __m256i dot[M];  // 8 pairs of at most 2 * 15 * 127
    for (int i = 0; i < M; ++i) dot[i] = zero();
    for (int v = 0; v < 4; ++v) {
      const __m256i w = load(quant + 64 * v), low = nibble(w), high = high_nibble(w);
      for (int i = 0; i < M; ++i) {
        const std::int8_t* q = x.q[i] + b * 32 + 4 * static_cast<unsigned>(v);
        dot[i] = _mm256_add_epi16(dot[i], _mm256_maddubs_epi16(low, four(q)));
        dot[i] = _mm256_add_epi16(dot[i], _mm256_maddubs_epi16(high, four(q + 16)));
      }
    }
    const __m256 dw = halfs(scale + 16 * half);
    for (int i = 0; i < M; ++i) {
      const __m256i isum = _mm256_sub_epi32(_mm256_madd_epi16(dot[i], _mm256_set1_epi16(1)),
                                            _mm256_set1_epi32(8 * x.sums[i][b]));
      acc[i] = add_scaled(dw, x.d[i][b * group_rows], isum, acc[i]);
    }
  }
};

// Six-bit scales and minimums of q4_k and q5_k: byte i of a row's four is sub-block i, or i + 4 in
// [1].
struct k_scales {
  __m256i scale[2], minimum[2];
};

inline k_scales open_k_scales(const u8* at) {
  const __m256i a = load(at), b = load(at + 64), c = load(at + 128);
  const __m256i pair = _mm256_set1_epi8(0x30);
  const auto join = [&](__m256i low, __m256i high) {
    return _mm256_or_si256(nibble(low), _mm256_and_si256(high, pair));
  };
  return {
      {join(a, _mm256_slli_epi16(c, 4)), join(b, _mm256_slli_epi16(c, 2))},
      {join(_mm256_srli_epi16(a, 4), c), join(_mm256_srli_epi16(b, 4), _mm256_srli_epi16(c, 2))}};
}

inline __m256i minimum_sum(const k_scales& s, const std::int16_t* sums) {
  const __m256i even = _mm256_set1_epi32(0x00ff00ff);
  __m256i total = zero();
  for (int i = 0; i < 2; ++i) {
    const __m256i pair02 = _mm256_and_si256(s.minimum[i], even),
                  pair13 = _mm256_srli_epi16(s.minimum[i], 8);
    total = _mm256_add_epi32(total, _mm256_madd_epi16(pair02, four(sums + 4 * i)));
    total = _mm256_add_epi32(total, _mm256_madd_epi16(pair13, four(sums + 4 * i + 2)));
  }
  return total;
}

template <bool Fifth>
struct q45_k_format {
  static constexpr std::uint64_t values = 256, quants = Fifth ? q5_k_quants : q4_k_quants,
                                 scales = q4_k_scales;

  // 64 values: sub-blocks 2C and 2C + 1. Fifth: 4 pairs of at most 2 * 31 * 127, else 8 of 2 * 15 *
  // 127.
  template <int M, int C>
  static void chunk(const u8* quant, const k_scales& s, const x_tile<M>& x, std::uint64_t b,
                    __m256i* isum) {
    const __m256i sl = scale_words<C % 2 * 2>(s.scale[C / 2]);
    const __m256i sh = scale_words<C % 2 * 2 + 1>(s.scale[C / 2]);
    constexpr int stride = Fifth ? 4 : 8;
    for (int v0 = 0; v0 < 8; v0 += stride) {
      __m256i low[M], high[M];
      for (int i = 0; i < M; ++i) low[i] = high[i] = zero();
      for (int v = v0; v < v0 + stride; ++v) {
        const __m256i w = load(quant + C * 512 + 64 * v);
        __m256i wl = nibble(w), wh = high_nibble(w);
        if (Fifth) {
          const __m256i bits = _mm256_srli_epi16(load(quant + 2048 + 64 * v), 2 * C);
          const __m256i sixteen = _mm256_set1_epi8(16);
          wl = _mm256_or_si256(wl, _mm256_and_si256(_mm256_slli_epi16(bits, 4), sixteen));
          wh = _mm256_or_si256(wh, _mm256_and_si256(_mm256_slli_epi16(bits, 3), sixteen));
        }
        for (int i = 0; i < M; ++i) {
          const std::int8_t* q = x.q[i] + b * 256 + C * 64 + 4 * static_cast<unsigned>(v);
          low[i] = _mm256_add_epi16(low[i], _mm256_maddubs_epi16(wl, four(q)));
          high[i] = _mm256_add_epi16(high[i], _mm256_maddubs_epi16(wh, four(q + 32)));
        }
      }
      for (int i = 0; i < M; ++i) {
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(low[i], sl));
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(high[i], sh));
      }
    }
  }

  template <int M>
  static void add(const u8* quant, const u8* scale, int half, const x_tile<M>& x, std::uint64_t b,
                  __m256* acc) {
    const k_scales s = open_k_scales(scale + 64 + 32 * half);
    __m256i isum[M];
    for (int i = 0; i < M; ++i) isum[i] = zero();
    chunk<M, 0>(quant, s, x, b, isum);
    chunk<M, 1>(quant, s, x, b, isum);
    chunk<M, 2>(quant, s, x, b, isum);
    chunk<M, 3>(quant, s, x, b, isum);
    const __m256 dw = halfs(scale + 16 * half), dmin = halfs(scale + 32 + 16 * half);
    for (int i = 0; i < M; ++i) {
      const float d = x.d[i][b * group_rows];
      acc[i] = add_scaled(dw, d, isum[i], acc[i]);
      acc[i] = _mm256_fnmadd_ps(_mm256_mul_ps(dmin, _mm256_set1_ps(d)),
                                _mm256_cvtepi32_ps(minimum_sum(s, x.sums32[i] + b * 8)), acc[i]);
    }
  }
};

struct q6_k_format {
  static constexpr std::uint64_t values = 256, quants = q6_k_quants, scales = q6_k_scales;

  // 8 values in each quarter of half H of the block: 2 pairs of at most 2 * 63 * 127 in 16 bits.
  template <int M, int H, int S>
  static void part(const u8* quant, int v0, const __m256i* scale, const x_tile<M>& x,
                   std::uint64_t b, __m256i* isum) {
    const __m256i pair = _mm256_set1_epi8(0x30);
    __m256i dot[4][M];
    for (int i = 0; i < M; ++i) dot[0][i] = dot[1][i] = dot[2][i] = dot[3][i] = zero();
    for (int v = v0; v < v0 + 2; ++v) {
      const __m256i first = load(quant + H * 1024 + 64 * v),
                    second = load(quant + H * 1024 + 512 + 64 * v);
      const __m256i bits = load(quant + 2048 + H * 512 + 64 * v);
      const __m256i w[4] = {
          _mm256_or_si256(nibble(first), _mm256_and_si256(_mm256_slli_epi16(bits, 4), pair)),
          _mm256_or_si256(nibble(second), _mm256_and_si256(_mm256_slli_epi16(bits, 2), pair)),
          _mm256_or_si256(high_nibble(first), _mm256_and_si256(bits, pair)),
          _mm256_or_si256(high_nibble(second), _mm256_and_si256(_mm256_srli_epi16(bits, 2), pair))};
      for (int i = 0; i < M; ++i) {
        const std::int8_t* q = x.q[i] + b * 256 + H * 128 + 4 * static_cast<unsigned>(v);
        for (int j = 0; j < 4; ++j)
          dot[j][i] = _mm256_add_epi16(dot[j][i], _mm256_maddubs_epi16(w[j], four(q + 32 * j)));
      }
    }
    const __m256i s[4] = {scale_words<S>(scale[2 * H]), scale_words<S + 2>(scale[2 * H]),
                          scale_words<S>(scale[2 * H + 1]), scale_words<S + 2>(scale[2 * H + 1])};
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < 4; ++j)
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(dot[j][i], s[j]));
  }

  template <int M>
  static void add(const u8* quant, const u8* scale, int half, const x_tile<M>& x, std::uint64_t b,
                  __m256* acc) {
    __m256i s[4], isum[M];
    for (int i = 0; i < M; ++i) isum[i] = zero();
    for (int j = 0; j < 4; ++j) {
      s[j] = load(scale + 64 * j + 32 * half);
      const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(s[j], 8), 8),
                    odd = _mm256_srai_epi16(s[j], 8);
      for (int i = 0; i < M; ++i) {
        const std::int16_t* sums = x.sums16[i] + b * 16 + 4 * static_cast<unsigned>(j);
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(even, four(sums)));
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(odd, four(sums + 2)));
      }
    }
    for (int i = 0; i < M; ++i) isum[i] = _mm256_sub_epi32(zero(), _mm256_slli_epi32(isum[i], 5));
    for (int v0 = 0; v0 < 4; v0 += 2) {
      part<M, 0, 0>(quant, v0, s, x, b, isum);
      part<M, 0, 1>(quant, v0 + 4, s, x, b, isum);
      part<M, 1, 0>(quant, v0, s, x, b, isum);
      part<M, 1, 1>(quant, v0 + 4, s, x, b, isum);
    }
    const __m256 dw = halfs(scale + 256 + 16 * half);
    for (int i = 0; i < M; ++i) acc[i] = add_scaled(dw, x.d[i][b * group_rows], isum[i], acc[i]);
  }
};

inline void store(float* y, std::uint64_t count, __m256 values) {
  if (count >= 8) return _mm256_storeu_ps(y, values);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(y, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane),
                      values);
}

template <class Format, int M>
void multiply_tile(const packed_view& w, const activation_view& x, std::uint64_t m0,
                   std::uint64_t n, std::uint64_t count, float* y, std::uint64_t y_stride) {
  const std::uint64_t blocks = w.k / Format::values;
  const u8* quants = w.groups + n / group_rows * w.group_stride;
  const u8* scales = quants + blocks * Format::quants;
  const x_tile<M> tile(x, m0, Format::values);
  __m256 acc[2][M];
  for (int i = 0; i < M; ++i) acc[0][i] = acc[1][i] = _mm256_setzero_ps();
  for (std::uint64_t b = 0; b < blocks; ++b)
    for (int half = 0; half < 2; ++half)
      Format::template add<M>(quants + b * Format::quants + 32 * half, scales + b * Format::scales,
                              half, tile, b, acc[half]);
  for (int i = 0; i < M; ++i) {
    float* to = y + (m0 + static_cast<std::uint64_t>(i)) * y_stride + n;
    store(to, count, acc[0][i]);
    if (count > 8) store(to + 8, count - 8, acc[1][i]);
  }
}

template <class Format>
void multiply_quantized(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  using tile_function = void(const packed_view&, const activation_view&, std::uint64_t,
                             std::uint64_t, std::uint64_t, float*, std::uint64_t);
  static constexpr tile_function* tiles[rows_max] = {
      multiply_tile<Format, 1>, multiply_tile<Format, 2>, multiply_tile<Format, 3>,
      multiply_tile<Format, 4>};
  for (std::uint64_t n = n_begin; n < n_end; n += group_rows)
    for (std::uint64_t m0 = 0; m0 < m; m0 += rows_max)
      tiles[m - m0 < rows_max ? m - m0 - 1 : rows_max - 1](
          w, x, m0, n, n_end - n < 16 ? n_end - n : 16, y, y_stride);
}

}  // namespace

void multiply_q8_0_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_quantized<q8_0_format>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q4_0_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_quantized<q4_0_format>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q4_k_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_quantized<q45_k_format<false>>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q5_k_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_quantized<q45_k_format<true>>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q6_k_avx2(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  multiply_quantized<q6_k_format>(w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace troupe::kernels
#endif
