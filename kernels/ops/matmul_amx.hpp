// What the AMX files share: the walk over a product that keeps what the tiles read in the near
// caches. Private; included only by files compiled for that instruction set.
#pragma once

#include "kernels/ops/matmul_avx512.hpp"

namespace troupe::kernels {

multiply_function multiply_q8_0_amx, multiply_q4_0_amx, multiply_q4_k_amx, multiply_q5_k_amx,
    multiply_q6_k_amx;

namespace {

// One pass: up to 8 groups of weights by up to 512 rows of x, their float sums in a scratch of 256
// KiB (on the stack).
inline constexpr std::uint64_t pass_groups = 8, pass_rows = 512;

struct pass_sums {
  alignas(64) float at[pass_groups][pass_rows][group_rows];
};

// What a pass works on. The rows of x from m0 exist up to a multiple of 32.
struct tile_pass {
  const activation_view* x;
  std::uint64_t m0, rows, groups, blocks;
  const std::uint8_t* quants[pass_groups];
  const std::uint8_t* scales[pass_groups];
  pass_sums* sums;
};

// The compiler does not know that tile instructions read and write memory.
[[maybe_unused]] inline void fence() {
  __asm__ volatile("" ::: "memory");
}

[[maybe_unused]] inline __m512 halfs(const std::uint8_t* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
[[maybe_unused]] inline __m512i nibble(__m512i v) {
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

struct alignas(64) tile_config {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// Tiles 0 to 3 hold sums, 4 and 5 x, 6 and 7 weights. depth: k of one product, a multiple of 4.
[[maybe_unused]] inline void configure_tiles(int depth) {
  tile_config config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = i == 4 || i == 5 ? static_cast<std::uint16_t>(depth) : 64;
    config.rows[i] = i == 6 || i == 7 ? static_cast<std::uint8_t>(depth / 4) : 16;
  }
  fence();
  _tile_loadconfig(&config);
}

// Asks for the bytes that the next chunk will open, a few lines with each tile product.
struct line_prefetch {
  const std::uint8_t *at = nullptr, *end = nullptr;
  void step(int lines) {
    for (int i = 0; i < lines && at < end; ++i, at += 64)
      _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
  }
};

// Sums start at +0, those of the rows that only fill a tile too.
[[maybe_unused]] inline void clear(const tile_pass& pass) {
  for (std::uint64_t g = 0; g < pass.groups; ++g)
    for (std::uint64_t row = 0; row < (pass.rows + 31) / 32 * 32; ++row)
      _mm512_store_ps(pass.sums->at[g][row], _mm512_setzero_ps());
}

// Runs Pass over all groups of [n_begin, n_end) and all rows of x, and writes y.
template <class Format, void (*Pass)(const tile_pass&)>
void multiply_by_tiles(const packed_view& w, const activation_view& x, std::uint64_t m,
                       std::uint64_t n_begin, std::uint64_t n_end, float* y,
                       std::uint64_t y_stride) {
  pass_sums sums;
  configure_tiles(Format::depth);
  tile_pass pass{&x, 0, 0, 0, w.k / Format::values, {}, {}, &sums};
  for (std::uint64_t n = n_begin; n < n_end; n += pass.groups * group_rows) {
    const std::uint64_t left = (n_end - n + group_rows - 1) / group_rows;
    pass.groups = left < pass_groups ? left : pass_groups;
    for (std::uint64_t g = 0; g < pass.groups; ++g) {
      pass.quants[g] = w.groups + (n / group_rows + g) * w.group_stride;
      pass.scales[g] = pass.quants[g] + pass.blocks * Format::quants;
    }
    for (pass.m0 = 0; pass.m0 < m; pass.m0 += pass_rows) {
      pass.rows = m - pass.m0 < pass_rows ? m - pass.m0 : pass_rows;
      Pass(pass);
      for (std::uint64_t row = 0; row < pass.rows; ++row) {
        for (std::uint64_t g = 0; g < pass.groups; ++g) {
          const std::uint64_t column = n + g * group_rows, count = n_end - column;
          const auto mask = static_cast<__mmask16>(count < 16 ? (1u << count) - 1 : 0xffff);
          _mm512_mask_storeu_ps(y + (pass.m0 + row) * y_stride + column, mask,
                                _mm512_load_ps(sums.at[g][row]));
        }
      }
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace troupe::kernels
