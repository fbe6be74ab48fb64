// q8_0 and q4_0 on AMX: one tile product of 16 rows of x by 16 rows of weights for each block of
// 32, then the float step with the 16 rows' sums in registers. The packed form (four k of 16 rows
// in 64 bytes) is what the tile unit reads.
#if defined(__x86_64__)
#include "kernels/ops/matmul_amx.hpp"

namespace troupe::kernels {
namespace {

using u8 = std::uint8_t;

// Fewer rows of x leave too much of a tile empty.
constexpr std::uint64_t rows_min = 13;
constexpr std::uint64_t chunk = 32;  // blocks whose weights and x stay near while they are used
constexpr std::uint64_t opened_bytes = 512;  // of one block of 16 rows

struct q8_0_tiles {
  static constexpr std::uint64_t values = 32, quants = q8_0_quants, scales = q8_0_scales;
  static constexpr int depth = 32;
  static const u8* open(const u8* quant, std::uint64_t, u8*) { return quant; }
};

struct q4_0_tiles {
  static constexpr std::uint64_t values = 32, quants = q4_0_quants, scales = q4_0_scales;
  static constexpr int depth = 32;
  static const u8* open(const u8* quant, std::uint64_t blocks, u8* panel) {
    const __m512i eight = _mm512_set1_epi8(8);
    for (std::uint64_t v = 0; v < blocks * 4; ++v) {
      const __m512i both = _mm512_loadu_si512(quant + v * 64);
      u8* to = panel + v / 4 * opened_bytes + v % 4 * 64;
      _mm512_store_si512(to, _mm512_sub_epi8(nibble(both), eight));
      _mm512_store_si512(to + 256, _mm512_sub_epi8(nibble(_mm512_srli_epi16(both, 4)), eight));
    }
    return panel;
  }
};

inline void add_scaled(const std::int32_t* sums, __m512 dw, const float* d, __m512* acc) {
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    acc[i] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[i])),
                             _mm512_cvtepi32_ps(_mm512_load_si512(sums + 16 * i)), acc[i]);
}

// `count` blocks: 16 rows of x (scales 16 a block) by a group.
void multiply_tile(const std::int8_t* q, std::uint64_t stride, const float* d, const u8* panel,
                   const __m512* dw, std::uint64_t count, float (*to)[group_rows]) {
  alignas(64) std::int32_t sums[2][256];
  __m512 acc[16];
  for (int i = 0; i < 16; ++i) acc[i] = _mm512_load_ps(to[i]);
  std::uint64_t b = 0;
  for (; b + 2 <= count; b += 2) {
    fence();
    _tile_zero(0);
    _tile_loadd(4, q + b * 32, stride);
    _tile_loadd(6, panel + b * opened_bytes, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_zero(1);
    _tile_loadd(5, q + b * 32 + 32, stride);
    _tile_loadd(7, panel + (b + 1) * opened_bytes, 64);
    _tile_dpbssd(1, 5, 7);
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    fence();
    add_scaled(sums[0], dw[b], d + b * 16, acc);
    add_scaled(sums[1], dw[b + 1], d + b * 16 + 16, acc);
  }
  if (b < count) {
    fence();
    _tile_zero(0);
    _tile_loadd(4, q + b * 32, stride);
    _tile_loadd(6, panel + b * opened_bytes, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_stored(0, sums[0], 64);
    fence();
    add_scaled(sums[0], dw[b], d + b * 16, acc);
  }
  for (int i = 0; i < 16; ++i) _mm512_store_ps(to[i], acc[i]);
}

template <class Format>
void multiply_pass(const tile_pass& pass) {
  alignas(64) u8 panel[pass_groups][chunk * opened_bytes];
  const u8* opened[pass_groups];
  __m512 dw[pass_groups][chunk];
  const std::uint64_t stride = pass.x->stride;
  clear(pass);
  for (std::uint64_t b0 = 0; b0 < pass.blocks; b0 += chunk) {
    const std::uint64_t count = pass.blocks - b0 < chunk ? pass.blocks - b0 : chunk;
    for (std::uint64_t g = 0; g < pass.groups; ++g) {
      opened[g] = Format::open(pass.quants[g] + b0 * Format::quants, count, panel[g]);
      for (std::uint64_t b = 0; b < count; ++b)
        dw[g][b] = halfs(pass.scales[g] + (b0 + b) * Format::scales);
    }
    for (std::uint64_t row = 0; row < pass.rows; row += 16) {
      const std::int8_t* q = pass.x->q + (pass.m0 + row) * stride + b0 * 32;
      const float* d = pass.x->d + (pass.m0 + row) * pass.blocks + b0 * 16;
      for (std::uint64_t g = 0; g < pass.groups; ++g)
        multiply_tile(q, stride, d, opened[g], dw[g], count, pass.sums->at[g] + row);
    }
  }
}

}  // namespace

void multiply_q8_0_amx(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  if (m < rows_min) return multiply_q8_0_avx512(w, x, m, n_begin, n_end, y, y_stride);
  multiply_by_tiles<q8_0_tiles, multiply_pass<q8_0_tiles>>(w, x, m, n_begin, n_end, y, y_stride);
}
void multiply_q4_0_amx(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  if (m < rows_min) return multiply_q4_0_avx512(w, x, m, n_begin, n_end, y, y_stride);
  multiply_by_tiles<q4_0_tiles, multiply_pass<q4_0_tiles>>(w, x, m, n_begin, n_end, y, y_stride);
}

const matmul_kernels amx_kernels = {
    .packed = true,
    .f32 = multiply_f32_avx512,
    .f16 = multiply_f16_avx512,
    .bf16 = multiply_bf16_avx512,
    .q8_0 = multiply_q8_0_amx,
    .q4_0 = multiply_q4_0_amx,
    .q4_k = multiply_q4_k_amx,
    .q5_k = multiply_q5_k_amx,
    .q6_k = multiply_q6_k_amx,
    .quantize_by_32 = quantize_by_32_avx512,
    .quantize_by_256 = quantize_by_256_avx512,
};

}  // namespace troupe::kernels
#endif
