// K-quants on AMX. Scale times value has at most 13 bits, so it is split as 128 * high + low, two
// int8 planes: a block of 256 is then two chains of four full tile products, and no scale is left
// for the integer step.
#if defined(__x86_64__)
#include "kernels/ops/matmul_amx.hpp"

namespace troupe::kernels {
namespace {

using u8 = std::uint8_t;

// Fewer rows of x do not repay opening the weights.
constexpr std::uint64_t rows_min = 25;
constexpr std::uint64_t chunk = 2;           // blocks opened at a time
constexpr std::uint64_t plane_bytes = 4096;  // 256 k of 16 rows
constexpr std::uint64_t block_bytes = 2 * plane_bytes;

inline __m512i four(const void* at) {
  int bytes;
  __builtin_memcpy(&bytes, at, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

// Byte J of each row's four as a signed 16-bit number in both halves of the row's dword.
template <int J>
inline __m512i scale_words(__m512i bytes) {
  const __m512i high =
      _mm512_set1_epi32(static_cast<int>(0x00800080u | unsigned{J} << 8 | unsigned{J} << 24));
  // Lanes of four rows: dword i of a lane takes from bytes 4i.
  const __m512i lane =
      _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04000400, 0x08000800, 0x0c000c00));
  return _mm512_srai_epi16(_mm512_shuffle_epi8(bytes, _mm512_add_epi8(high, lane)), 8);
}

// values (bytes, signed) times the rows' scales, as the planes low = product & 127 and high =
// product >> 7.
inline void store_planes(__m512i even, __m512i odd, __m512i scale, u8* low) {
  const __m512i e = _mm512_mullo_epi16(even, scale), o = _mm512_mullo_epi16(odd, scale);
  const __m512i first = _mm512_set1_epi16(0x00ff), seven = _mm512_set1_epi8(127);
  const __m512i second = _mm512_slli_epi16(o, 8);
  // first ? e : second, byte by byte
  const __m512i bytes = _mm512_ternarylogic_epi32(first, e, second, 0xca);
  const __m512i highs =
      _mm512_ternarylogic_epi32(first, _mm512_srai_epi16(e, 7), _mm512_slli_epi16(o, 1), 0xca);
  _mm512_store_si512(low, _mm512_and_si512(bytes, seven));
  _mm512_store_si512(low + plane_bytes, highs);
}

inline void open_unsigned(__m512i v, __m512i scale, u8* to) {
  store_planes(_mm512_and_si512(v, _mm512_set1_epi16(0x00ff)), _mm512_srli_epi16(v, 8), scale, to);
}

template <bool Fifth>
struct q45_k_tiles {
  static constexpr std::uint64_t values = k_block, quants = Fifth ? q5_k_quants : q4_k_quants,
                                 scales = q4_k_scales;
  static constexpr int depth = 64;
  static constexpr std::uint64_t d_at = 0;
  static constexpr bool minimum = true;

  template <int C>
  static void chunk(const u8* quant, const k_scales& s, u8* panel) {
    const __m512i sl = scale_words<C % 2 * 2>(s.scale[C / 2]);
    const __m512i sh = scale_words<C % 2 * 2 + 1>(s.scale[C / 2]);
    for (int v = 0; v < 8; ++v) {
      const __m512i w = _mm512_loadu_si512(quant + C * 512 + v * 64);
      __m512i low = nibble(w), high = nibble(_mm512_srli_epi16(w, 4));
      if (Fifth) fifth_bits<C>(_mm512_loadu_si512(quant + 2048 + 64 * v), low, high);
      open_unsigned(low, sl, panel + C * 1024 + v * 64);
      open_unsigned(high, sh, panel + C * 1024 + 512 + v * 64);
    }
  }
  static void open(const u8* quant, const u8* scale, u8* panel) {
    const k_scales s = open_k_scales(scale + 64);
    chunk<0>(quant, s, panel);
    chunk<1>(quant, s, panel);
    chunk<2>(quant, s, panel);
    chunk<3>(quant, s, panel);
  }
};

struct q6_k_tiles {
  static constexpr std::uint64_t values = k_block, quants = q6_k_quants, scales = q6_k_scales;
  static constexpr int depth = 64;
  static constexpr std::uint64_t d_at = 256;
  static constexpr bool minimum = false;

  template <int H, int S>
  static void part(const u8* quant, const u8* scale, u8* panel) {
    const __m512i first = _mm512_loadu_si512(scale + 128 * H),
                  second = _mm512_loadu_si512(scale + 128 * H + 64);
    const __m512i s[4] = {scale_words<S>(first), scale_words<S + 2>(first), scale_words<S>(second),
                          scale_words<S + 2>(second)};
    const __m512i offset = _mm512_set1_epi16(32);
    for (int v = 4 * S; v < 4 * S + 4; ++v) {
      const __m512i pairs = _mm512_loadu_si512(quant + 2048 + H * 512 + 64 * v);
      __m512i w[4];
      q6_quarters<0>(_mm512_loadu_si512(quant + H * 1024 + 64 * v), pairs, w[0], w[2]);
      q6_quarters<1>(_mm512_loadu_si512(quant + H * 1024 + 512 + 64 * v), pairs, w[1], w[3]);
      for (int j = 0; j < 4; ++j)
        store_planes(_mm512_sub_epi16(_mm512_and_si512(w[j], _mm512_set1_epi16(0x00ff)), offset),
                     _mm512_sub_epi16(_mm512_srli_epi16(w[j], 8), offset), s[j],
                     panel + H * 2048 + j * 512 + v * 64);
    }
  }
  static void open(const u8* quant, const u8* scale, u8* panel) {
    part<0, 0>(quant, scale, panel);
    part<0, 1>(quant, scale, panel);
    part<1, 0>(quant, scale, panel);
    part<1, 1>(quant, scale, panel);
  }
};

// What the float step of one block of the group needs.
struct k_block_scales {
  __m512 d, dmin;
  __m512i minimum[4];  // pairs of 16-bit minimums: 0 2, 1 3, 4 6, 5 7
};

template <class Format>
inline k_block_scales block_scales(const u8* scale) {
  k_block_scales s = {};
  s.d = halfs(scale + Format::d_at);
  if (!Format::minimum) return s;
  const k_scales opened = open_k_scales(scale + 64);
  const __m512i even = _mm512_set1_epi32(0x00ff00ff);
  s.dmin = halfs(scale + 32);
  for (int i = 0; i < 2; ++i) {
    s.minimum[2 * i] = _mm512_and_si512(opened.minimum[i], even);
    s.minimum[2 * i + 1] = _mm512_srli_epi16(opened.minimum[i], 8);
  }
  return s;
}

// One block of 32 rows of x by a group: where its x lies and where its float step goes.
struct tile_unit {
  const std::int8_t* q;
  const float* d;              // of the first 16 rows
  std::uint64_t d_stride;      // to the next 16
  const std::int16_t* sums32;  // of the first row
  std::uint64_t sums_stride;
  const k_block_scales* scales;
  float (*to)[group_rows];
};

// The float step of rows [from, from + 8) of a unit.
template <bool Minimum>
inline void add_scaled(const tile_unit& unit, const std::int32_t* sums, std::uint64_t from) {
  const float* d = unit.d + from / 16 * unit.d_stride + from % 16;
  const std::int32_t* at = sums + from / 16 * 256 + from % 16 * 16;
  const k_block_scales& s = *unit.scales;
#pragma GCC unroll 8
  for (std::uint64_t i = 0; i < 8; ++i) {
    const __m512i high = _mm512_slli_epi32(_mm512_load_si512(at + 512 + 16 * i), 7);
    const __m512i isum = _mm512_add_epi32(_mm512_load_si512(at + 16 * i), high);
    const __m512 dx = _mm512_set1_ps(d[i]);
    __m512 acc = _mm512_load_ps(unit.to[from + i]);
    acc = _mm512_fmadd_ps(_mm512_mul_ps(s.d, dx), _mm512_cvtepi32_ps(isum), acc);
    if (Minimum) {
      const std::int16_t* x = unit.sums32 + (from + i) * unit.sums_stride;
      const __m512i a = _mm512_dpwssd_epi32(_mm512_setzero_si512(), s.minimum[0], four(x));
      const __m512i b = _mm512_dpwssd_epi32(_mm512_setzero_si512(), s.minimum[1], four(x + 2));
      const __m512i msum = _mm512_add_epi32(_mm512_dpwssd_epi32(a, s.minimum[2], four(x + 4)),
                                            _mm512_dpwssd_epi32(b, s.minimum[3], four(x + 6)));
      acc = _mm512_fnmadd_ps(_mm512_mul_ps(s.dmin, dx), _mm512_cvtepi32_ps(msum), acc);
    }
    _mm512_store_ps(unit.to[from + i], acc);
  }
}

// The tile products of a unit, with the float step of the one before between them, so that the tile
// unit and the vector units work at the same time.
template <bool Minimum>
inline void multiply_unit(const tile_unit& unit, std::uint64_t stride, const u8* panel,
                          std::int32_t* sums, const tile_unit* before,
                          const std::int32_t* sums_before, line_prefetch& ahead) {
  fence();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
#pragma GCC unroll 4
  for (std::uint64_t step = 0; step < 4; ++step) {
    fence();
    _tile_loadd(4, unit.q + step * 64, stride);
    _tile_loadd(6, panel + step * 1024, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, panel + plane_bytes + step * 1024, 64);
    _tile_dpbssd(2, 4, 7);
    _tile_loadd(5, unit.q + 16 * stride + step * 64, stride);
    _tile_dpbssd(1, 5, 6);
    _tile_dpbssd(3, 5, 7);
    ahead.step(2);
    if (before != nullptr) add_scaled<Minimum>(*before, sums_before, step * 8);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  _tile_stored(2, sums + 512, 64);
  _tile_stored(3, sums + 768, 64);
  fence();
}

template <class Format>
void multiply_chunk(const tile_pass& pass, std::uint64_t b0, std::uint64_t count,
                    const u8 (*panel)[chunk * block_bytes], const k_block_scales (*scales)[chunk],
                    line_prefetch* ahead) {
  alignas(64) std::int32_t sums[2][1024];
  const std::uint64_t k = pass.x->k, stride = pass.x->stride;
  tile_unit before{};
  const tile_unit* last = nullptr;
  int turn = 0;
  for (std::uint64_t row = 0; row < pass.rows; row += 32) {
    const std::uint64_t x_row = pass.m0 + row;
    for (std::uint64_t g = 0; g < pass.groups; ++g) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t b = b0 + i;
        const tile_unit unit{pass.x->q + x_row * stride + b * k_block,
                             pass.x->d + x_row * pass.blocks + b * 16,
                             pass.blocks * 16,
                             pass.x->sums32 + x_row * (k / 32) + b * 8,
                             k / 32,
                             &scales[g][i],
                             pass.sums->at[g] + row};
        multiply_unit<Format::minimum>(unit, stride, panel[g] + i * block_bytes, sums[turn], last,
                                       sums[1 - turn], ahead[g]);
        before = unit;
        last = &before;
        turn = 1 - turn;
      }
    }
  }
  for (std::uint64_t from = 0; from < 32; from += 8)
    add_scaled<Format::minimum>(before, sums[1 - turn], from);
}

template <class Format>
void multiply_pass(const tile_pass& pass) {
  alignas(64) u8 panel[pass_groups][chunk * block_bytes];
  k_block_scales scales[pass_groups][chunk];
  line_prefetch ahead[pass_groups];
  clear(pass);
  for (std::uint64_t b0 = 0; b0 < pass.blocks; b0 += chunk) {
    const std::uint64_t count = pass.blocks - b0 < chunk ? pass.blocks - b0 : chunk;
    for (std::uint64_t g = 0; g < pass.groups; ++g) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const u8* scale = pass.scales[g] + (b0 + i) * Format::scales;
        Format::open(pass.quants[g] + (b0 + i) * Format::quants, scale, panel[g] + i * block_bytes);
        scales[g][i] = block_scales<Format>(scale);
      }
      const std::uint64_t next = b0 + count;
      const std::uint64_t next_end = pass.blocks - next < chunk ? pass.blocks : next + chunk;
      ahead[g] = {pass.quants[g] + next * Format::quants,
                  pass.quants[g] + next_end * Format::quants};
    }
    multiply_chunk<Format>(pass, b0, count, panel, scales, ahead);
  }
}

template <class Format>
void multiply_k(multiply_function* few, const packed_view& w, const activation_view& x,
                std::uint64_t m, std::uint64_t n_begin, std::uint64_t n_end, float* y,
                std::uint64_t y_stride) {
  if (m < rows_min) return few(w, x, m, n_begin, n_end, y, y_stride);
  multiply_by_tiles<Format, multiply_pass<Format>>(w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace

void multiply_q4_k_amx(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  multiply_k<q45_k_tiles<false>>(multiply_q4_k_avx512, w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q5_k_amx(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  multiply_k<q45_k_tiles<true>>(multiply_q5_k_avx512, w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q6_k_amx(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  multiply_k<q6_k_tiles>(multiply_q6_k_avx512, w, x, m, n_begin, n_end, y, y_stride);
}

}  // namespace troupe::kernels
#endif
