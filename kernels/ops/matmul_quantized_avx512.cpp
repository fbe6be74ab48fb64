// Quantized weights on AVX-512 with VNNI: one vector holds four k of 16 rows, so vpdpbusd with four
// activation bytes broadcast gives the integer sums of 16 rows at once. Weights are unsigned there;
// the offset is taken off by the sums of q (exact integers).
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx512.hpp"

namespace troupe::kernels {
namespace {

using u8 = std::uint8_t;

// Rows of x that one pass over a group's weights serves.
constexpr int rows_max = 8;

inline __m512i load(const u8* at) {
  return _mm512_loadu_si512(at);
}
// Loads weights and asks for those Ahead bytes further on, beyond what the machine's own prefetch
// has in flight.
template <int Ahead>
inline __m512i stream(const u8* at) {
  _mm_prefetch(reinterpret_cast<const char*>(at + Ahead), _MM_HINT_T0);
  return _mm512_loadu_si512(at);
}
inline __m512i four(const void* at) {
  int bytes;
  __builtin_memcpy(&bytes, at, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}
inline __m512 halfs(const u8* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
inline __m512i nibble(__m512i v) {
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline __m512i high_nibble(__m512i v) {
  return nibble(_mm512_srli_epi16(v, 4));
}

// One row tile: pointers of the rows' prepared x.
template <int M>
struct x_tile {
  const std::int8_t* q[M];
  const float* d[M];
  const std::int32_t* sums[M];
  const std::int16_t* sums16[M];
  const std::int16_t* sums32[M];

  x_tile(const activation_view& x, std::uint64_t m0, std::uint64_t block) {
    for (int i = 0; i < M; ++i) {
      q[i] = x.q + (m0 + i) * x.stride;
      d[i] = x.d + (m0 + i) / group_rows * group_rows * (x.k / block) + (m0 + i) % group_rows;
      if (x.sums != nullptr) sums[i] = x.sums + (m0 + i) * (x.k / 32);
      if (x.sums16 != nullptr) {
        sums16[i] = x.sums16 + (m0 + i) * (x.k / 16);
        sums32[i] = x.sums32 + (m0 + i) * (x.k / 32);
      }
    }
  }
};

template <int M>
inline void add_scaled(const x_tile<M>& x, std::uint64_t b, __m512 dw, const __m512i* isum,
                       __m512* acc) {
  for (int i = 0; i < M; ++i)
    acc[i] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(x.d[i][b * group_rows])),
                             _mm512_cvtepi32_ps(isum[i]), acc[i]);
}

struct q8_0_format {
  static constexpr std::uint64_t values = 32, quants = q8_0_quants, scales = q8_0_scales;
  static constexpr int streams = 4, ahead = 2048;
  template <int M>
  static void add(const u8* quant, const u8* scale, const x_tile<M>& x, std::uint64_t b,
                  __m512* acc) {
    __m512i isum[M];
    for (int i = 0; i < M; ++i) isum[i] = _mm512_set1_epi32(-128 * x.sums[i][b]);
#pragma GCC unroll 8
    for (int v = 0; v < 8; ++v) {
      const __m512i w = _mm512_xor_si512(stream<ahead>(quant + 64 * v), _mm512_set1_epi8(-128));
      for (int i = 0; i < M; ++i)
        isum[i] = _mm512_dpbusd_epi32(isum[i], w, four(x.q[i] + b * 32 + 4 * v));
    }
    add_scaled<M>(x, b, halfs(scale), isum, acc);
  }
};

struct q4_0_format {
  static constexpr std::uint64_t values = 32, quants = q4_0_quants, scales = q4_0_scales;
  static constexpr int streams = 4, ahead = 2048;
  template <int M>
  static void add(const u8* quant, const u8* scale, const x_tile<M>& x, std::uint64_t b,
                  __m512* acc) {
    __m512i isum[M];
    for (int i = 0; i < M; ++i) isum[i] = _mm512_set1_epi32(-8 * x.sums[i][b]);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i w = stream<ahead>(quant + 64 * v), low = nibble(w), high = high_nibble(w);
      for (int i = 0; i < M; ++i) {
        isum[i] = _mm512_dpbusd_epi32(isum[i], low, four(x.q[i] + b * 32 + 4 * v));
        isum[i] = _mm512_dpbusd_epi32(isum[i], high, four(x.q[i] + b * 32 + 16 + 4 * v));
      }
    }
    add_scaled<M>(x, b, halfs(scale), isum, acc);
  }
};

// Byte J of each row's four, zero- or sign-extended.
template <int J>
inline __m512i unsigned_byte(__m512i v) {
  return _mm512_and_si512(_mm512_srli_epi32(v, 8 * J), _mm512_set1_epi32(255));
}
template <int J>
inline __m512i signed_byte(__m512i v) {
  return _mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * J), 24);
}

// Subtracts dmin * d * (minimums times sums of x).
template <int M>
inline void add_minimums(const k_scales& s, const u8* scale, const x_tile<M>& x, std::uint64_t b,
                         __m512* acc) {
  const __m512i even = _mm512_set1_epi32(0x00ff00ff);
  const __m512i m02 = _mm512_and_si512(s.minimum[0], even);
  const __m512i m13 = _mm512_srli_epi16(s.minimum[0], 8);
  const __m512i m46 = _mm512_and_si512(s.minimum[1], even);
  const __m512i m57 = _mm512_srli_epi16(s.minimum[1], 8);
  const __m512 dmin = halfs(scale + 32);
  for (int i = 0; i < M; ++i) {
    const std::int16_t* sums = x.sums32[i] + b * 8;
    __m512i msum = _mm512_dpwssd_epi32(_mm512_setzero_si512(), m02, four(sums));
    msum = _mm512_dpwssd_epi32(msum, m13, four(sums + 2));
    msum = _mm512_dpwssd_epi32(msum, m46, four(sums + 4));
    msum = _mm512_dpwssd_epi32(msum, m57, four(sums + 6));
    acc[i] = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, _mm512_set1_ps(x.d[i][b * group_rows])),
                              _mm512_cvtepi32_ps(msum), acc[i]);
  }
}

template <bool Fifth>
struct q45_k_format {
  static constexpr std::uint64_t values = 256, quants = Fifth ? q5_k_quants : q4_k_quants,
                                 scales = q4_k_scales;
  static constexpr int streams = Fifth ? 1 : 4, ahead = Fifth ? 4096 : 2048;

  // 64 values: sub-blocks 2C and 2C + 1.
  template <int M, int C>
  static void chunk(const u8* quant, const k_scales& s, const x_tile<M>& x, std::uint64_t b,
                    __m512i* isum) {
    __m512i low[M], high[M];
    for (int i = 0; i < M; ++i) low[i] = high[i] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int v = 0; v < 8; ++v) {
      const __m512i w = stream<ahead>(quant + C * 512 + 64 * v);
      __m512i wl = nibble(w), wh = high_nibble(w);
      if (Fifth) fifth_bits<C>(load(quant + 2048 + 64 * v), wl, wh);
      for (int i = 0; i < M; ++i) {
        const std::int8_t* q = x.q[i] + b * 256 + C * 64 + 4 * v;
        low[i] = _mm512_dpbusd_epi32(low[i], wl, four(q));
        high[i] = _mm512_dpbusd_epi32(high[i], wh, four(q + 32));
      }
    }
    const __m512i sl = unsigned_byte<C % 2 * 2>(s.scale[C / 2]);
    const __m512i sh = unsigned_byte<C % 2 * 2 + 1>(s.scale[C / 2]);
    for (int i = 0; i < M; ++i) {
      isum[i] = _mm512_add_epi32(isum[i], _mm512_mullo_epi32(low[i], sl));
      isum[i] = _mm512_add_epi32(isum[i], _mm512_mullo_epi32(high[i], sh));
    }
  }

  template <int M>
  static void add(const u8* quant, const u8* scale, const x_tile<M>& x, std::uint64_t b,
                  __m512* acc) {
    const k_scales s = open_k_scales(scale + 64);
    __m512i isum[M];
    for (int i = 0; i < M; ++i) isum[i] = _mm512_setzero_si512();
    chunk<M, 0>(quant, s, x, b, isum);
    chunk<M, 1>(quant, s, x, b, isum);
    chunk<M, 2>(quant, s, x, b, isum);
    chunk<M, 3>(quant, s, x, b, isum);
    add_scaled<M>(x, b, halfs(scale), isum, acc);
    add_minimums<M>(s, scale, x, b, acc);
  }
};

struct q6_k_format {
  static constexpr std::uint64_t values = 256, quants = q6_k_quants, scales = q6_k_scales;
  static constexpr int streams = 1, ahead = 4096;

  // 16 values in each of two quarters (P and P + 2) of half H of the block: sub-blocks 8H + 2P + S
  // and 4 more.
  template <int M, int H, int P, int S>
  static void part(const u8* quant, const __m512i* scale, const x_tile<M>& x, std::uint64_t b,
                   __m512i* isum) {
    __m512i low[M], high[M];
    for (int i = 0; i < M; ++i) low[i] = high[i] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int v = 4 * S; v < 4 * S + 4; ++v) {
      const u8* bits = quant + 2048 + H * 512 + 64 * v;
      __m512i wl, wh;
      q6_quarters<P>(stream<ahead>(quant + H * 1024 + P * 512 + 64 * v),
                     P == 0 ? stream<ahead>(bits) : load(bits), wl, wh);
      for (int i = 0; i < M; ++i) {
        const std::int8_t* q = x.q[i] + b * 256 + H * 128 + P * 32 + 4 * v;
        low[i] = _mm512_dpbusd_epi32(low[i], wl, four(q));
        high[i] = _mm512_dpbusd_epi32(high[i], wh, four(q + 64));
      }
    }
    const __m512i sl = signed_byte<S + 2 * P>(scale[2 * H]);
    const __m512i sh = signed_byte<S + 2 * P>(scale[2 * H + 1]);
    for (int i = 0; i < M; ++i) {
      isum[i] = _mm512_add_epi32(isum[i], _mm512_mullo_epi32(low[i], sl));
      isum[i] = _mm512_add_epi32(isum[i], _mm512_mullo_epi32(high[i], sh));
    }
  }

  template <int M, int H>
  static void half(const u8* quant, const __m512i* scale, const x_tile<M>& x, std::uint64_t b,
                   __m512i* isum) {
    part<M, H, 0, 0>(quant, scale, x, b, isum);
    part<M, H, 0, 1>(quant, scale, x, b, isum);
    part<M, H, 1, 0>(quant, scale, x, b, isum);
    part<M, H, 1, 1>(quant, scale, x, b, isum);
  }

  template <int M>
  static void add(const u8* quant, const u8* scale, const x_tile<M>& x, std::uint64_t b,
                  __m512* acc) {
    __m512i s[4], isum[M];
    for (int i = 0; i < M; ++i) isum[i] = _mm512_setzero_si512();
    for (int j = 0; j < 4; ++j) {
      s[j] = load(scale + 64 * j);
      const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(s[j], 8), 8);
      const __m512i odd = _mm512_srai_epi16(s[j], 8);
      for (int i = 0; i < M; ++i) {
        const std::int16_t* sums = x.sums16[i] + b * 16 + 4 * j;
        isum[i] = _mm512_dpwssd_epi32(isum[i], even, four(sums));
        isum[i] = _mm512_dpwssd_epi32(isum[i], odd, four(sums + 2));
      }
    }
    for (int i = 0; i < M; ++i)
      isum[i] = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(isum[i], 5));
    half<M, 0>(quant, s, x, b, isum);
    half<M, 1>(quant, s, x, b, isum);
    add_scaled<M>(x, b, halfs(scale + 256), isum, acc);
  }
};

// M rows of x by G groups of weights in step: several streams of memory in flight read faster than
// one. `mask` is that of the last group.
template <class Format, int M, int G>
void multiply_tile(const packed_view& w, const activation_view& x, std::uint64_t m0,
                   std::uint64_t n, __mmask16 mask, float* y, std::uint64_t y_stride) {
  const std::uint64_t blocks = w.k / Format::values;
  const u8* quants = w.groups + n / group_rows * w.group_stride;
  const u8* scales = quants + blocks * Format::quants;
  const x_tile<M> tile(x, m0, Format::values);
  __m512 acc[G][M];
  for (int g = 0; g < G; ++g)
    for (int i = 0; i < M; ++i) acc[g][i] = _mm512_setzero_ps();
  for (std::uint64_t b = 0; b < blocks; ++b)
    for (int g = 0; g < G; ++g)
      Format::template add<M>(quants + g * w.group_stride + b * Format::quants,
                              scales + g * w.group_stride + b * Format::scales, tile, b, acc[g]);
  for (int g = 0; g < G; ++g)
    for (int i = 0; i < M; ++i)
      _mm512_mask_storeu_ps(y + (m0 + i) * y_stride + n + g * group_rows,
                            g == G - 1 ? mask : static_cast<__mmask16>(0xffff), acc[g][i]);
}

using tile_function = void(const packed_view&, const activation_view&, std::uint64_t, std::uint64_t,
                           __mmask16, float*, std::uint64_t);

template <class Format>
constexpr tile_function* one_group[rows_max] = {
    multiply_tile<Format, 1, 1>, multiply_tile<Format, 2, 1>, multiply_tile<Format, 3, 1>,
    multiply_tile<Format, 4, 1>, multiply_tile<Format, 5, 1>, multiply_tile<Format, 6, 1>,
    multiply_tile<Format, 7, 1>, multiply_tile<Format, 8, 1>};

// Up to this many rows of x memory is the limit and several streams pay.
constexpr std::uint64_t rows_streamed = 4;

template <class Format>
constexpr tile_function* several_groups[rows_streamed] = {
    multiply_tile<Format, 1, Format::streams>, multiply_tile<Format, 2, Format::streams>,
    multiply_tile<Format, 3, Format::streams>, multiply_tile<Format, 4, Format::streams>};

template <class Format>
void multiply_quantized(const packed_view& w, const activation_view& x, std::uint64_t m,
                        std::uint64_t n_begin, std::uint64_t n_end, float* y,
                        std::uint64_t y_stride) {
  constexpr std::uint64_t streams = Format::streams;
  const auto mask_of = [](std::uint64_t count) {
    return static_cast<__mmask16>(count < group_rows ? (1u << count) - 1 : 0xffff);
  };
  std::uint64_t n = n_begin;
  if (m <= rows_streamed) {
    constexpr std::uint64_t others = (streams - 1) * group_rows;
    for (; n + others < n_end; n += streams * group_rows)
      several_groups<Format>[m - 1](w, x, 0, n, mask_of(n_end - n - others), y, y_stride);
  }
  for (; n < n_end; n += group_rows)
    for (std::uint64_t m0 = 0; m0 < m; m0 += rows_max)
      one_group<Format>[m - m0 < rows_max ? m - m0 - 1 : rows_max - 1](
          w, x, m0, n, mask_of(n_end - n), y, y_stride);
}

}  // namespace

void multiply_q8_0_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_quantized<q8_0_format>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q4_0_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_quantized<q4_0_format>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q4_k_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_quantized<q45_k_format<false>>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q5_k_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_quantized<q45_k_format<true>>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q6_k_avx512(const packed_view& w, const activation_view& x, std::uint64_t m,
                          std::uint64_t n_begin, std::uint64_t n_end, float* y,
                          std::uint64_t y_stride) {
  multiply_quantized<q6_k_format>(w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace troupe::kernels
#endif
