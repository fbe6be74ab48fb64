// Bodies of the matrix products for few rows of x: out[m][n] = sum over k of x[m][k] * w[n][k], in
// the order of matmul.hpp. What a row of x gives does not depend on how many there are, so the
// engine may choose among these and tile_bodies.hpp by speed alone.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/weight_planes.hpp"

namespace troupe::kernels::cuda {

struct product_arguments {
  device_matrix w;
  std::uint32_t rows = 0;              // of x
  const float* values = nullptr;       // float types: [rows][k]
  const std::int8_t* q = nullptr;      // quantized types: [rows][k]
  const float* d = nullptr;            // [rows][k / 32 or 256]
  const std::int16_t* sums = nullptr;  // of each 16 codes
  float* out = nullptr;
  std::uint64_t out_stride = 0;
  bool add = false;  // out += product
};

TROUPE_BODY void put(const product_arguments& a, std::uint64_t row, std::uint64_t n, float value) {
  float* to = a.out + row * a.out_stride + n;
  *to = a.add ? *to + value : value;
}

// Sums of the codes of a unit of x, and of its two halves.
struct unit_sums {
  std::int32_t first, second;
};
TROUPE_BODY unit_sums read_sums(const product_arguments& a, std::uint64_t row, std::uint32_t unit) {
  const std::int16_t* at = a.sums + row * (a.w.k / 16) + unit * 2;
  return {at[0], at[1]};
}

// Whole-number results of one unit: the contract's isum, and msum for types with a minimum.
struct unit_result {
  std::int32_t isum = 0, msum = 0;
};

// first, second: products of the codes over the unit's first and second 16 values.
template <tensor_type Type>
TROUPE_BODY unit_result finish_unit(std::int32_t first, std::int32_t second, unit_sums x,
                                    unit_scales scales) {
  if constexpr (has_minimum(Type))
    return {scales.first * (first + second), scales.second * (x.first + x.second)};
  constexpr int offset = code_offset(Type);
  if constexpr (Type == tensor_type::q6_k)
    return {
        scales.first * (first - offset * x.first) + scales.second * (second - offset * x.second),
        0};
  return {first + second - offset * (x.first + x.second), 0};
}

// Quantized weights, up to Rows rows of x: each thread takes one unit of k and four rows of w;
// then one thread for each output walks the chain over blocks. Grid: (n / 4, rows / Rows).
template <tensor_type Type, std::uint32_t Rows>
struct few_rows_body {
  static constexpr std::uint32_t threads = 128, outputs = 4, pairs = outputs * Rows;
  static constexpr bool wide = by_256(Type);
  static constexpr std::uint32_t blocks = wide ? threads / 8 : threads;  // in a chunk of k
  static constexpr std::uint32_t chunk_steps = wide ? 3 : 2;
  static_assert(pairs <= threads);
  using arguments = product_arguments;
  struct term {  // acc = fma(scale, whole, acc)
    float scale, whole;
  };
  struct shared {
    term terms[pairs][blocks + 1];
    term minima[has_minimum(Type) ? pairs : 1][blocks + 1];
    std::int32_t isum[wide ? pairs : 1][threads + 1];
    std::int32_t msum[has_minimum(Type) ? pairs : 1][threads + 1];
  };
  struct registers {
    float sum = 0;
  };

  TROUPE_BODY static std::uint32_t chunks(const arguments& a) {
    return static_cast<std::uint32_t>((a.w.k / unit_values + threads - 1) / threads);
  }
  TROUPE_BODY static std::uint32_t steps(const arguments& a, const place&) {
    return chunks(a) * chunk_steps;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers& r) {
    const std::uint32_t first_unit = i / chunk_steps * threads;
    const std::uint32_t phase = i % chunk_steps;
    const std::uint32_t units = static_cast<std::uint32_t>(a.w.k / unit_values);
    const std::uint32_t some = units - first_unit < threads ? units - first_unit : threads;
    const std::uint32_t some_blocks = wide ? some / 8 : some;
    if (phase == 0) {
      if (at.thread < some) multiply_unit(a, at, first_unit + at.thread, s);
    } else if (wide && phase == 1) {
      for (std::uint32_t p = at.thread; p < pairs * some_blocks; p += threads)
        add_units(s, p / some_blocks, p % some_blocks);
    } else {
      if (at.thread >= pairs) return;
      for (std::uint32_t b = 0; b < some_blocks; ++b) {
        const term t = s.terms[at.thread][b];
        r.sum = fused(t.scale, t.whole, r.sum);
        if constexpr (has_minimum(Type)) {
          const term low = s.minima[at.thread][b];
          r.sum = fused(low.scale, low.whole, r.sum);
        }
      }
      const std::uint64_t n = std::uint64_t{at.block_x} * outputs + at.thread % outputs;
      const std::uint32_t row = at.block_y * Rows + at.thread / outputs;
      if (i + 1 == steps(a, at) && n < a.w.n && row < a.rows) put(a, row, n, r.sum);
    }
  }

  TROUPE_BODY static void multiply_unit(const arguments& a, const place& at, std::uint32_t unit,
                                        shared& s) {
    const weight_planes planes = weight_planes_of(Type, a.w.n, a.w.k);
    unit_codes codes[outputs];
    unit_scales whole[outputs] = {};
    block_scales scales[outputs];
    const std::uint32_t block = wide ? unit / 8 : unit;
    const bool first_of_block = !wide || unit % 8 == 0;
    TROUPE_UNROLL
    for (std::uint32_t o = 0; o < outputs; ++o) {
      std::uint64_t n = std::uint64_t{at.block_x} * outputs + o;
      n = n < a.w.n ? n : a.w.n - 1;
      const std::uint8_t* row = a.w.blocks + n * planes.row_bytes;
      codes[o] = read_codes<Type>(row, unit);
      if constexpr (wide) whole[o] = read_unit_scales<Type>(row, unit);
      if (first_of_block)
        scales[o] = read_block_scales<Type>(row, a.w.scales + n * planes.row_scales, block);
    }
    TROUPE_UNROLL
    for (std::uint32_t m = 0; m < Rows; ++m) {
      const std::uint32_t row = at.block_y * Rows + m;
      if (row >= a.rows) return;
      const std::uint8_t* q = reinterpret_cast<const std::uint8_t*>(a.q) + row * a.w.k;
      const quad low = load_quad(q + std::uint64_t{unit} * unit_values);
      const quad high = load_quad(q + std::uint64_t{unit} * unit_values + 16);
      const unit_sums sums = read_sums(a, row, unit);
      const float d =
          first_of_block ? a.d[row * (a.w.k / weight_geometry_of(Type).values) + block] : 0.0f;
      TROUPE_UNROLL
      for (std::uint32_t o = 0; o < outputs; ++o) {
        std::int32_t first = 0, second = 0;
        TROUPE_UNROLL
        for (int w = 0; w < 4; ++w) {
          first = dot4(codes[o].word[w], low.word[w], first);
          second = dot4(codes[o].word[4 + w], high.word[w], second);
        }
        const unit_result got = finish_unit<Type>(first, second, sums, whole[o]);
        keep(s, m * outputs + o, at.thread, got, scales[o], d);
      }
    }
  }

  TROUPE_BODY static void keep(shared& s, std::uint32_t pair, std::uint32_t unit, unit_result got,
                               block_scales scales, float d) {
    if constexpr (wide) {
      s.isum[pair][unit] = got.isum;
      if constexpr (has_minimum(Type)) s.msum[pair][unit] = got.msum;
      if (unit % 8 == 0) {
        s.terms[pair][unit / 8].scale = scales.d * d;
        if constexpr (has_minimum(Type)) s.minima[pair][unit / 8].scale = -(scales.dmin * d);
      }
    } else {
      s.terms[pair][unit] = {scales.d * d, static_cast<float>(got.isum)};
    }
  }

  TROUPE_BODY static void add_units(shared& s, std::uint32_t pair, std::uint32_t block) {
    std::int32_t isum = 0, msum = 0;
    for (std::uint32_t u = block * 8; u < block * 8 + 8; ++u) {
      isum += s.isum[pair][u];
      if constexpr (has_minimum(Type)) msum += s.msum[pair][u];
    }
    s.terms[pair][block].whole = static_cast<float>(isum);
    if constexpr (has_minimum(Type)) s.minima[pair][block].whole = static_cast<float>(msum);
  }
};

// Float weights, up to Rows rows of x: 16 threads for each row of w, one for each lane of the
// contract. Grid: (n / 8, rows / Rows).
template <tensor_type Type, std::uint32_t Rows>
struct few_rows_float_body {
  static constexpr std::uint32_t threads = 128, outputs = threads / 16, ahead = 8;
  using arguments = product_arguments;
  struct shared {
    float lanes[Rows * outputs][17];
  };
  struct registers {};
  static_assert(Rows * outputs <= threads);

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 2; }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers&) {
    if (i == 0) {
      add_lane(a, at, s);
    } else if (at.thread < Rows * outputs) {
      const std::uint64_t n = std::uint64_t{at.block_x} * outputs + at.thread % outputs;
      const std::uint32_t row = at.block_y * Rows + at.thread / outputs;
      if (n < a.w.n && row < a.rows) put(a, row, n, tree_of(s.lanes[at.thread]));
    }
  }

  TROUPE_BODY static void add_lane(const arguments& a, const place& at, shared& s) {
    const std::uint32_t lane = at.thread % 16, output = at.thread / 16;
    std::uint64_t n = std::uint64_t{at.block_x} * outputs + output;
    n = n < a.w.n ? n : a.w.n - 1;
    const std::uint8_t* w = a.w.blocks + n * weight_planes_of(Type, a.w.n, a.w.k).row_bytes;
    const std::uint32_t first = at.block_y * Rows;
    const float* x[Rows];
    float sum[Rows] = {};
    TROUPE_UNROLL
    for (std::uint32_t m = 0; m < Rows; ++m)
      x[m] = a.values + (first + m < a.rows ? first + m : a.rows - 1) * a.w.k;
    std::uint64_t k = lane;
    for (; k + 16 * (ahead - 1) < a.w.k; k += 16 * ahead) {  // several loads before their first use
      float read[ahead];
      TROUPE_UNROLL
      for (std::uint32_t j = 0; j < ahead; ++j) read[j] = read_float<Type>(w, k + 16 * j);
      TROUPE_UNROLL
      for (std::uint32_t j = 0; j < ahead; ++j) {
        TROUPE_UNROLL
        for (std::uint32_t m = 0; m < Rows; ++m) sum[m] = fused(read[j], x[m][k + 16 * j], sum[m]);
      }
    }
    for (; k < a.w.k; k += 16) {
      const float read = read_float<Type>(w, k);
      TROUPE_UNROLL
      for (std::uint32_t m = 0; m < Rows; ++m) sum[m] = fused(read, x[m][k], sum[m]);
    }
    const bool beyond = a.w.k % 16 != 0 && lane >= a.w.k % 16;
    TROUPE_UNROLL
    for (std::uint32_t m = 0; m < Rows; ++m)  // a k past the row adds a product of +0
      s.lanes[m * outputs + output][lane] = beyond ? fused(0.0f, 0.0f, sum[m]) : sum[m];
  }
};

}  // namespace troupe::kernels::cuda
