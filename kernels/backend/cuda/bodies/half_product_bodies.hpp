// Bodies of the matrix products of the class `tensor` (cuda_settings::numerics): out[m][n] = sum
// over k of x[m][k] * w[n][k] on the tensor cores, in an order of its own. What a row of x gives
// depends on that row and on w alone: not on the other rows, on how many there are, nor on which of
// the two bodies computes it.
//
// x: for bfloat16 weights each value is rounded to bfloat16, infinities and NaNs as they are. For
// all others each row is multiplied by a power of two that brings its largest value into [2^13,
// 2^14) (2^126 at most, so that rows below 2^-113 stay smaller), then rounded to float16; the
// result is divided by that power at the end. A row that holds an infinity or a NaN gives NaN in
// every output. w: float16 and bfloat16 as they are; quantized types are decoded in float with
// row_codec's roundings, then rounded to float16 (an infinity where they are too large). float32
// weights are not computed here: they keep the exact class's plain products.
//
// The order: k is cut into groups of 64, the last one filled with zeros, and the groups into at
// most eight slices of ceil(groups / 8) consecutive ones. A slice is one chain from +0 of m16n8k16
// products with float sums, four for each group in rising k; product j of a group takes the values
// 4j to 4j + 3 of each of its four sixteens, those of sixteen p as the columns 2p, 2p + 1, 2p + 8
// and 2p + 9 of A. The slices' sums are added in rising order from +0 in float, then comes the
// row's power of two. How a tensor core adds its 16 products is the device's, hence smXX in the
// class's name; that an output of it depends on its row of A and its column of B alone is what
// batch invariance here rests on. w is always A, x always B.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/half_math.hpp"
#include "kernels/backend/cuda/bodies/half_row_bodies.hpp"

namespace troupe::kernels::cuda {

struct half_product_arguments {
  device_matrix w;
  std::uint32_t rows = 0;            // of x
  const std::uint16_t* x = nullptr;  // [rows][half_width(k)]
  const float* inverse = nullptr;    // of each row's scale; not read for bfloat16
  float* out = nullptr;
  std::uint64_t out_stride = 0;
  bool add = false;  // out += product
};

inline constexpr std::uint32_t group_values = 64, half_slices_max = 8;

struct half_slices {
  std::uint32_t groups, each, count;  // of the row, of a slice but the last; slices
};
TROUPE_BODY half_slices half_slices_of(std::uint64_t k) {
  const auto groups = static_cast<std::uint32_t>((k + group_values - 1) / group_values);
  const std::uint32_t each = (groups + half_slices_max - 1) / half_slices_max;
  return {groups, each, each == 0 ? 0 : (groups + each - 1) / each};
}

// A lane's part of m16n8k16 (PTX ISA, fragments for mma.m16n8k16 of .f16 and .bf16). Lane l has of
// A the rows l / 4 (words 0 and 2) and l / 4 + 8, of B the column l / 4; their columns and rows are
// l % 4 * 2, the next one, and those 8 further. Of C it has row l / 4 (then + 8), columns l % 4 * 2
// and the next.
struct half_a {
  std::uint32_t word[4];
};
struct half_b {
  std::uint32_t word[2];
};

TROUPE_BODY void put_half(const half_product_arguments& a, std::uint64_t row, std::uint64_t n,
                          float sum) {
  if (a.w.type != tensor_type::bf16) sum = sum * a.inverse[row];
  float* to = a.out + row * a.out_stride + n;
  *to = a.add ? *to + sum : sum;
}

// One of 16 values of a float row that may be cut, or begin where 16 bytes cannot be read.
TROUPE_BODY quad read_eight(const std::uint8_t* row, std::uint64_t k, std::uint64_t begin) {
  const auto* values = reinterpret_cast<const std::uint16_t*>(row);
  quad eight = {};
  TROUPE_UNROLL
  for (std::uint32_t i = 0; i < 8; ++i)
    if (begin + i < k)
      eight.word[i / 2] |= static_cast<std::uint32_t>(values[begin + i]) << (i % 2 * 16);
  return eight;
}

// Sixteen `s` of row n (or the last one) of w; zeros past its end.
template <tensor_type Type>
TROUPE_BODY sixteen_bytes<Type> read_weights(const device_matrix& w, std::uint64_t n,
                                             std::uint32_t s) {
  const weight_planes planes = weight_planes_of(Type, w.n, w.k);
  n = n < w.n ? n : w.n - 1;
  const std::uint8_t* row = w.blocks + n * planes.row_bytes;
  sixteen_bytes<Type> bytes = {};
  if constexpr (quantized(Type)) {
    if (std::uint64_t{s} * 16 < w.k)
      bytes = read_sixteen<Type>(row, w.scales + n * planes.row_scales, s);
  } else {
    TROUPE_UNROLL
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint64_t begin = std::uint64_t{s} * 16 + half * 8;
      if (w.k % 8 != 0)
        bytes.read[half] = read_eight(row, w.k, begin);
      else if (begin < w.k)
        bytes.read[half] = load_quad(row + begin * 2);
    }
  }
  return bytes;
}

// Up to 8 * Tiles rows of x: each warp of a block has one slice of 16 outputs. Its steps are, for
// each group of the warp's slice, read(), made() and, for each tile of 8 rows, the four products of
// a() and b(); keep(), a barrier, write(). Grid: (n / 16, rows / (8 * Tiles)).
template <tensor_type Type, std::uint32_t Tiles>
struct half_few_body {
  static constexpr std::uint32_t threads = 32 * half_slices_max, outputs = 16, rows = 8 * Tiles;
  // Groups whose bytes are on their way at once: as many as registers hold, since memory is far.
  static constexpr bool narrow = sixteen_bytes<Type>::quads == 1 || Type == tensor_type::q4_k;
  static constexpr std::uint32_t ahead = Tiles > 2 ? 1 : Tiles == 2 || !narrow ? 2 : 4;
  using arguments = half_product_arguments;
  struct shared {
    float sums[half_slices_max][rows][outputs + 1];
  };
  struct group_bytes {
    sixteen_bytes<Type> w[2];
    quad x[Tiles][2];
  };
  struct group_halves {
    sixteen_halves w[2];
    quad x[Tiles][2];
  };

  // Which groups the thread's warp adds up.
  struct groups {
    std::uint32_t begin, end;
  };
  TROUPE_BODY static groups groups_of(const arguments& a, const place& at) {
    const half_slices slices = half_slices_of(a.w.k);
    const std::uint32_t begin = at.thread / 32 * slices.each, end = begin + slices.each;
    if (begin >= slices.groups) return {0, 0};
    return {begin, end < slices.groups ? end : slices.groups};
  }

  TROUPE_BODY static group_bytes read(const arguments& a, const place& at, std::uint32_t group) {
    const std::uint32_t of = at.thread % 32 / 4, s = group * 4 + at.thread % 4;
    const std::uint64_t n = std::uint64_t{at.block_x} * outputs + of;
    group_bytes bytes = {{read_weights<Type>(a.w, n, s), read_weights<Type>(a.w, n + 8, s)}, {}};
    TROUPE_UNROLL
    for (std::uint32_t tile = 0; tile < Tiles; ++tile) {
      const std::uint64_t row = std::uint64_t{at.block_y} * rows + tile * 8 + of;
      if (row >= a.rows) continue;
      const auto* x = reinterpret_cast<const std::uint8_t*>(a.x + row * half_width(a.w.k) +
                                                            std::uint64_t{s} * 16);
      bytes.x[tile][0] = load_quad(x);
      bytes.x[tile][1] = load_quad(x + 16);
    }
    return bytes;
  }
  TROUPE_BODY static group_halves made(const group_bytes& bytes, const place& at,
                                       std::uint32_t group) {
    const std::uint32_t s = group * 4 + at.thread % 4;
    group_halves of = {{halves_of<Type>(bytes.w[0], s), halves_of<Type>(bytes.w[1], s)}, {}};
    TROUPE_UNROLL
    for (std::uint32_t tile = 0; tile < Tiles; ++tile) {
      of.x[tile][0] = bytes.x[tile][0];
      of.x[tile][1] = bytes.x[tile][1];
    }
    return of;
  }
  TROUPE_BODY static half_a a(const group_halves& of, std::uint32_t product) {
    const std::uint32_t at = 2 * product;
    return {{of.w[0].word[at], of.w[1].word[at], of.w[0].word[at + 1], of.w[1].word[at + 1]}};
  }
  TROUPE_BODY static half_b b(const group_halves& of, std::uint32_t tile, std::uint32_t product) {
    const quad& x = of.x[tile][product / 2];
    return {{x.word[product % 2 * 2], x.word[product % 2 * 2 + 1]}};
  }

  TROUPE_BODY static void keep(shared& s, std::uint32_t thread, const float (&sum)[Tiles][4]) {
    const std::uint32_t lane = thread % 32;
    TROUPE_UNROLL
    for (std::uint32_t tile = 0; tile < Tiles; ++tile) {
      TROUPE_UNROLL
      for (std::uint32_t i = 0; i < 4; ++i)
        s.sums[thread / 32][tile * 8 + lane % 4 * 2 + i % 2][lane / 4 + i / 2 * 8] = sum[tile][i];
    }
  }
  TROUPE_BODY static void write(const arguments& a, const place& at, const shared& s) {
    const std::uint32_t count = half_slices_of(a.w.k).count;
    for (std::uint32_t i = at.thread; i < rows * outputs; i += threads) {
      const std::uint32_t o = i % outputs, m = i / outputs;
      const std::uint64_t n = std::uint64_t{at.block_x} * outputs + o;
      const std::uint64_t row = std::uint64_t{at.block_y} * rows + m;
      if (n >= a.w.n || row >= a.rows) continue;
      float total = 0;
      for (std::uint32_t slice = 0; slice < count; ++slice) total = total + s.sums[slice][m][o];
      put_half(a, row, n, total);
    }
  }
};

}  // namespace troupe::kernels::cuda
