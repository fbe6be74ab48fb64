// Bodies of the matrix products for many rows of x, with the bits of product_bodies.hpp.
//
// Quantized weights go through the tensor cores as int8: a product of 32 (or 16) codes is an exact
// integer there, so the contract's order survives, and the chain over blocks follows in float.
// Float weights have 16 lanes of fused multiply-adds by contract, which tensor cores cannot keep:
// they are computed by plain multiply-adds in register tiles.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/product_bodies.hpp"

namespace troupe::kernels::cuda {

// Where lane `lane` of a warp has its part of an m16n8k32 product of int8 (PTX ISA, matrix
// fragments for mma.m16n8k32): rows are group and group + 8 of A and C; B's and C's columns follow.
struct fragment_place {
  std::uint32_t group, pair;
};
TROUPE_BODY fragment_place fragment_of(std::uint32_t lane) {
  return {lane / 4, lane % 4};
}

// Grid: (n / 64, rows / (8 * Groups)). Its steps are load() and, after a barrier, for each unit and
// group of 8 rows of x: a(), b(), the product of the warp, absorb(); then a barrier again.
template <tensor_type Type, std::uint32_t Groups>
struct tensor_tile_body {
  static constexpr std::uint32_t threads = 128, outputs = 64, rows = 8 * Groups, units = 8;
  static constexpr bool wide = by_256(Type);
  static constexpr bool halves = Type == tensor_type::q6_k;  // a scale for each 16 values
  static constexpr bool keeps_minima = has_minimum(Type);
  static constexpr bool sums_needed = keeps_minima || code_offset(Type) != 0;
  static constexpr std::uint32_t words = units * 8 + 4;  // a row's codes and a gap for the banks
  static constexpr std::uint32_t scales_kept = wide ? 1 : units;
  using arguments = product_arguments;
  struct shared {
    alignas(16) std::uint32_t w[outputs][words];
    alignas(16) std::uint32_t x[rows][words];
    float w_d[outputs][scales_kept + 1];
    float w_dmin[has_minimum(Type) ? outputs : 1];
    float x_d[rows][scales_kept + 1];
    unit_scales whole[wide ? outputs : 1][units + 1];
    unit_sums x_sums[sums_needed ? rows : 1][units];
  };
  struct registers {
    float sum[Groups][4] = {};
    std::int32_t isum[wide ? Groups : 1][4] = {};
    std::int32_t msum[has_minimum(Type) ? Groups : 1][4] = {};
  };

  TROUPE_BODY static std::uint32_t chunks(const arguments& a) {
    return static_cast<std::uint32_t>((a.w.k / unit_values + units - 1) / units);
  }
  TROUPE_BODY static std::uint32_t units_of(const arguments& a, std::uint32_t chunk) {
    const std::uint32_t left = static_cast<std::uint32_t>(a.w.k / unit_values) - chunk * units;
    return left < units ? left : units;
  }

  TROUPE_BODY static void load(std::uint32_t chunk, const arguments& a, const place& at,
                               shared& s) {
    const weight_planes planes = weight_planes_of(Type, a.w.n, a.w.k);
    const std::uint32_t some = units_of(a, chunk);
    for (std::uint32_t i = at.thread; i < outputs * units; i += threads) {
      const std::uint32_t o = i / units, u = i % units, unit = chunk * units + u;
      std::uint64_t n = std::uint64_t{at.block_x} * outputs + o;
      n = n < a.w.n ? n : a.w.n - 1;
      if (u >= some) continue;
      const std::uint8_t* row = a.w.blocks + n * planes.row_bytes;
      const std::uint16_t* scales = a.w.scales + n * planes.row_scales;
      const unit_codes codes = read_codes<Type>(row, unit);
      quad* to = reinterpret_cast<quad*>(&s.w[o][u * 8]);
      to[0] = {codes.word[0], codes.word[1], codes.word[2], codes.word[3]};
      to[1] = {codes.word[4], codes.word[5], codes.word[6], codes.word[7]};
      if constexpr (wide) s.whole[o][u] = read_unit_scales<Type>(row, unit);
      if (wide && u != 0) continue;
      const block_scales block = read_block_scales<Type>(row, scales, wide ? chunk : unit);
      s.w_d[o][wide ? 0 : u] = block.d;
      if constexpr (has_minimum(Type)) s.w_dmin[o] = block.dmin;
    }
    for (std::uint32_t i = at.thread; i < rows * units; i += threads) {
      const std::uint32_t m = i / units, u = i % units, unit = chunk * units + u;
      std::uint64_t row = std::uint64_t{at.block_y} * rows + m;
      row = row < a.rows ? row : a.rows - 1;
      if (u >= some) continue;
      const std::uint8_t* q =
          reinterpret_cast<const std::uint8_t*>(a.q) + row * a.w.k + unit * unit_values;
      quad* to = reinterpret_cast<quad*>(&s.x[m][u * 8]);
      to[0] = load_quad(q);
      to[1] = load_quad(q + 16);
      if constexpr (sums_needed) s.x_sums[m][u] = read_sums(a, row, unit);
      if (!wide || u == 0)
        s.x_d[m][wide ? 0 : u] =
            a.d[row * (a.w.k / weight_geometry_of(Type).values) + (wide ? chunk : unit)];
    }
  }

  struct a_fragment {
    std::uint32_t word[4];
  };
  struct b_fragment {
    std::uint32_t word[2];
  };
  struct c_fragment {
    std::int32_t first[4];
    std::int32_t second[4];  // halves: products of the unit's second 16 values
  };

  TROUPE_BODY static a_fragment a(const shared& s, std::uint32_t thread, std::uint32_t unit) {
    const fragment_place f = fragment_of(thread % 32);
    const std::uint32_t row = thread / 32 * 16 + f.group, at = unit * 8 + f.pair;
    return {{s.w[row][at], s.w[row + 8][at], s.w[row][at + 4], s.w[row + 8][at + 4]}};
  }
  TROUPE_BODY static b_fragment b(const shared& s, std::uint32_t thread, std::uint32_t unit,
                                  std::uint32_t group) {
    const fragment_place f = fragment_of(thread % 32);
    const std::uint32_t row = group * 8 + f.group, at = unit * 8 + f.pair;
    return {{s.x[row][at], s.x[row][at + 4]}};
  }

  // Takes up one unit's products of one group; `last`: the unit ends a block.
  TROUPE_BODY static void absorb(const shared& s, std::uint32_t thread, std::uint32_t unit,
                                 std::uint32_t group, const c_fragment& c, bool last,
                                 float (&sum)[4], std::int32_t (&isum)[4],
                                 std::int32_t (&msum)[4]) {
    const fragment_place f = fragment_of(thread % 32);
    TROUPE_UNROLL
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t o = thread / 32 * 16 + f.group + i / 2 * 8;
      const std::uint32_t m = group * 8 + f.pair * 2 + i % 2;
      unit_scales whole = {};
      unit_sums sums = {};
      if constexpr (wide) whole = s.whole[o][unit];
      if constexpr (sums_needed) sums = s.x_sums[m][unit];
      const unit_result got = finish_unit<Type>(c.first[i], halves ? c.second[i] : 0, sums, whole);
      if constexpr (wide) {
        isum[i] += got.isum;
        msum[i] += got.msum;
        if (!last) continue;
        sum[i] = fused(s.w_d[o][0] * s.x_d[m][0], static_cast<float>(isum[i]), sum[i]);
        if constexpr (has_minimum(Type))
          sum[i] = fused(-(s.w_dmin[o] * s.x_d[m][0]), static_cast<float>(msum[i]), sum[i]);
        isum[i] = msum[i] = 0;
      } else {
        sum[i] = fused(s.w_d[o][unit] * s.x_d[m][unit], static_cast<float>(got.isum), sum[i]);
      }
    }
  }

  TROUPE_BODY static void write(const arguments& a, const place& at, std::uint32_t group,
                                const float (&sum)[4]) {
    const fragment_place f = fragment_of(at.thread % 32);
    TROUPE_UNROLL
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint64_t n =
          std::uint64_t{at.block_x} * outputs + at.thread / 32 * 16 + f.group + i / 2 * 8;
      const std::uint64_t row = std::uint64_t{at.block_y} * rows + group * 8 + f.pair * 2 + i % 2;
      if (n < a.w.n && row < a.rows) put(a, row, n, sum[i]);
    }
  }
};

// Float weights: a thread has one lane of 8 x 8 outputs. Grid: (n / 32, rows / 32).
template <tensor_type Type>
struct float_tile_body {
  static constexpr std::uint32_t threads = 256, side = 32, slab = 64, stride = side + 4;
  using arguments = product_arguments;
  struct shared {
    alignas(16) float w[slab][stride];  // [k][n]
    alignas(16) float x[slab][stride];  // [k][row]
    float lanes[128][17];
  };
  struct registers {
    float sum[8][8] = {};
  };

  TROUPE_BODY static std::uint32_t slabs(const arguments& a) {
    return static_cast<std::uint32_t>((a.w.k + slab - 1) / slab);
  }
  TROUPE_BODY static std::uint32_t steps(const arguments& a, const place&) {
    return slabs(a) * 2 + 16;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers& r) {
    if (i < slabs(a) * 2) {
      if (i % 2 == 0)
        load(std::uint64_t{i / 2} * slab, a, at, s);
      else
        multiply(std::uint64_t{i / 2} * slab, a, at, s, r);
      return;
    }
    // The lanes' tree, one of the eight rows of every thread's outputs at a time.
    const std::uint32_t end = i - slabs(a) * 2, p = end / 2;
    const std::uint32_t lane = at.thread % 16, patch = at.thread / 16;
    if (end % 2 == 0) {
      TROUPE_UNROLL
      for (std::uint32_t j = 0; j < 8; ++j)  // constant indexes keep the sums in registers
        if (j == p) {
          TROUPE_UNROLL
          for (std::uint32_t c = 0; c < 8; ++c) s.lanes[patch * 8 + c][lane] = r.sum[j][c];
        }
    } else if (at.thread < 128) {
      const std::uint32_t of = at.thread / 8, c = at.thread % 8;
      const std::uint64_t n = std::uint64_t{at.block_x} * side + of % 4 * 8 + p;
      const std::uint64_t row = std::uint64_t{at.block_y} * side + of / 4 * 8 + c;
      if (n < a.w.n && row < a.rows) put(a, row, n, tree_of(s.lanes[at.thread]));
    }
  }

  TROUPE_BODY static void load(std::uint64_t begin, const arguments& a, const place& at,
                               shared& s) {
    const std::uint64_t row_bytes = weight_planes_of(Type, a.w.n, a.w.k).row_bytes;
    for (std::uint32_t i = at.thread; i < side * slab; i += threads) {
      const std::uint32_t of = i / slab;
      const std::uint64_t k = begin + i % slab;
      std::uint64_t n = std::uint64_t{at.block_x} * side + of;
      std::uint64_t row = std::uint64_t{at.block_y} * side + of;
      n = n < a.w.n ? n : a.w.n - 1;
      row = row < a.rows ? row : a.rows - 1;
      s.w[i % slab][of] = k < a.w.k ? read_float<Type>(a.w.blocks + n * row_bytes, k) : 0.0f;
      s.x[i % slab][of] = k < a.w.k ? a.values[row * a.w.k + k] : 0.0f;
    }
  }

  TROUPE_BODY static void multiply(std::uint64_t begin, const arguments& a, const place& at,
                                   const shared& s, registers& r) {
    const std::uint32_t lane = at.thread % 16, patch = at.thread / 16;
    const std::uint64_t padded = (a.w.k + 15) / 16 * 16;
    TROUPE_UNROLL
    for (std::uint32_t j = 0; j < slab / 16; ++j) {
      const std::uint32_t k = j * 16 + lane;
      if (begin + k >= padded) continue;
      float w[8], x[8];
      TROUPE_UNROLL
      for (std::uint32_t c = 0; c < 8; ++c) {
        w[c] = s.w[k][patch % 4 * 8 + c];
        x[c] = s.x[k][patch / 4 * 8 + c];
      }
      TROUPE_UNROLL
      for (std::uint32_t p = 0; p < 8; ++p) {
        TROUPE_UNROLL
        for (std::uint32_t c = 0; c < 8; ++c) r.sum[p][c] = fused(w[p], x[c], r.sum[p][c]);
      }
    }
  }
};

}  // namespace troupe::kernels::cuda
