// Bodies of the row operations (body_math.hpp says what a body is). Each keeps the order of
// elementwise.hpp and matmul.hpp word for word, so that its bits are the CPU's.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/body_math.hpp"
#include "kernels/backend/cuda/bodies/weight_planes.hpp"

namespace troupe::kernels::cuda {

struct nothing {};

// out[row] = row `tokens[row]` of the table. Grid: (1, rows).
template <tensor_type Type>
struct embed_body {
  static constexpr std::uint32_t threads = 256;
  struct arguments {
    device_matrix table;
    const std::int32_t* tokens;
    float* out;
  };
  using shared = nothing;
  using registers = nothing;

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 1; }
  TROUPE_BODY static void step(std::uint32_t, const arguments& a, const place& at, shared&,
                               registers&) {
    const weight_planes planes = weight_planes_of(Type, a.table.n, a.table.k);
    const std::uint64_t token = static_cast<std::uint32_t>(a.tokens[at.block_y]);
    const std::uint8_t* row = a.table.blocks + token * planes.row_bytes;
    const std::uint16_t* scales = a.table.scales + token * planes.row_scales;
    for (std::uint64_t i = at.thread; i < a.table.k; i += threads)
      a.out[at.block_y * a.table.k + i] = read_value<Type>(row, scales, i);
  }
};

// scales[row] = 1 / sqrt(sum of x * x / n + epsilon), the sum in 16 lanes and the tree. Grid: (1,
// rows).
struct rms_scale_body {
  static constexpr std::uint32_t threads = 256, chunk = 2048;
  struct arguments {
    const float* x;
    std::uint64_t n;
    float epsilon;
    float* scales;
  };
  struct shared {
    float x[chunk];
    float lanes[16];
  };
  struct registers {
    float sum = 0;
  };

  TROUPE_BODY static std::uint32_t steps(const arguments& a, const place&) {
    return static_cast<std::uint32_t>((a.n + chunk - 1) / chunk * 2 + 1);
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers& r) {
    const std::uint64_t begin = std::uint64_t{i / 2} * chunk;
    const std::uint32_t some = begin >= a.n          ? 0
                               : a.n - begin < chunk ? static_cast<std::uint32_t>(a.n - begin)
                                                     : chunk;
    if (some == 0) {
      if (at.thread == 0) {
        const float mean = divided(tree_of(s.lanes), static_cast<float>(a.n));
        a.scales[at.block_y] = divided(1.0f, root(mean + a.epsilon));
      }
    } else if (i % 2 == 0) {
      for (std::uint32_t t = at.thread; t < some; t += threads)
        s.x[t] = a.x[at.block_y * a.n + begin + t];
    } else if (at.thread < 16) {
      for (std::uint32_t t = at.thread; t < some; t += 16) r.sum = fused(s.x[t], s.x[t], r.sum);
      s.lanes[at.thread] = r.sum;
    }
  }
};

// Where `prepare` takes its values from.
enum class row_source : std::uint8_t {
  plain,   // x
  normed,  // (x * scale of the row) * weight
  gated,   // (x / (1 + exp(-x))) * up
};

// Rows made ready for a matrix product: as floats, or quantized in blocks of 32 or 256 with the
// sums of each 16 codes. One pass over x: norm, gate and quantization are fused here. Grid: (chunks
// of 1024 values, rows).
template <row_source Source, std::uint32_t Block>  // Block: 1 (floats), 32 or 256
struct prepare_body {
  static constexpr std::uint32_t threads = 128, chunk = 1024, sixteens = chunk / 16;
  static constexpr std::uint32_t blocks = Block == 1 ? 1 : chunk / Block;
  struct arguments {
    const float* x;
    std::uint64_t n;
    const float* scales;  // normed: one for each row
    const float* weight;  // normed
    const float* up;      // gated: as x
    float* values;        // floats: [rows][n]
    std::int8_t* q;       // [rows][n]
    float* d;             // [rows][n / Block]
    std::int16_t* sums;   // [rows][n / 16]
  };
  struct shared {
    float x[chunk + chunk / 32];
    float largest[sixteens];  // of each 16 values; NaN where one of them is not finite
    float inverse[blocks];
  };
  using registers = nothing;

  static constexpr TROUPE_BODY std::uint32_t padded(std::uint32_t i) { return i + i / 32; }
  TROUPE_BODY static float value(const arguments& a, std::uint64_t row, std::uint64_t i) {
    const float x = a.x[row * a.n + i];
    if constexpr (Source == row_source::normed) return x * a.scales[row] * a.weight[i];
    if constexpr (Source == row_source::gated)
      return divided(x, 1.0f + exact_exponential(-x)) * a.up[row * a.n + i];
    return x;
  }

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) {
    return Block == 1 ? 1 : 4;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers&) {
    const std::uint64_t row = at.block_y, begin = std::uint64_t{at.block_x} * chunk;
    const std::uint32_t some =
        a.n - begin < chunk ? static_cast<std::uint32_t>(a.n - begin) : chunk;
    if constexpr (Block == 1) {
      for (std::uint32_t t = at.thread; t < some; t += threads)
        a.values[row * a.n + begin + t] = value(a, row, begin + t);
    } else if (i == 0) {
      for (std::uint32_t t = at.thread; t < some; t += threads)
        s.x[padded(t)] = value(a, row, begin + t);
    } else if (i == 1) {
      if (at.thread * 16 < some) find_largest(s, at.thread);
    } else if (i == 2) {
      if (at.thread * Block < some) {
        const float d = scale_of(s, at.thread);
        a.d[(row * a.n + begin) / Block + at.thread] = d;
      }
    } else if (at.thread * 16 < some) {
      write_codes(a, s, row * a.n + begin + at.thread * 16, at.thread);
    }
  }

  TROUPE_BODY static void find_largest(shared& s, std::uint32_t sixteen) {
    float largest = 0;
    bool all_finite = true;
    for (std::uint32_t t = sixteen * 16; t < sixteen * 16 + 16; ++t) {
      const float size = magnitude(s.x[padded(t)]);
      all_finite = all_finite && finite(size);
      largest = size > largest ? size : largest;
    }
    s.largest[sixteen] = all_finite ? largest : float_of(0x7fc00000u);
  }

  // The scale of a block; its inverse, 0 where all codes are to be 0, goes to shared memory.
  TROUPE_BODY static float scale_of(shared& s, std::uint32_t block) {
    float largest = 0;
    bool all_finite = true;
    for (std::uint32_t t = 0; t < Block / 16; ++t) {
      const float size = s.largest[block * (Block / 16) + t];
      all_finite = all_finite && finite(size);
      largest = size > largest ? size : largest;
    }
    constexpr float smallest_normal = 0x1p-126f;
    const float d = divided(largest, 127.0f);
    const bool small = d < smallest_normal;
    s.inverse[block] = !all_finite || small ? 0.0f : divided(1.0f, d);
    return !all_finite ? float_of(0x7fc00000u) : small ? 0.0f : d;
  }

  TROUPE_BODY static void write_codes(const arguments& a, const shared& s, std::uint64_t to,
                                      std::uint32_t sixteen) {
    const float inverse = s.inverse[sixteen * 16 / Block];
    quad codes = {};
    int sum = 0;
    TROUPE_UNROLL
    for (int w = 0; w < 4; ++w) {
      TROUPE_UNROLL
      for (int b = 0; b < 4; ++b) {
        const float x = s.x[padded(sixteen * 16 + static_cast<std::uint32_t>(w * 4 + b))];
        const int code = inverse == 0.0f ? 0 : nearest(x * inverse);
        sum += code;
        codes.word[w] |= (static_cast<std::uint32_t>(code) & 255u) << (b * 8);
      }
    }
    *reinterpret_cast<quad*>(a.q + to) = codes;
    a.sums[to / 16] = static_cast<std::int16_t>(sum);
  }
};

// out[i] = x[index[i]]. Grid: (1, rows of out).
struct gather_body {
  static constexpr std::uint32_t threads = 256;
  struct arguments {
    const float* x;
    std::uint64_t n;
    const std::uint32_t* index;
    float* out;
  };
  using shared = nothing;
  using registers = nothing;

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 1; }
  TROUPE_BODY static void step(std::uint32_t, const arguments& a, const place& at, shared&,
                               registers&) {
    const std::uint64_t from = a.index[at.block_y] * a.n, to = at.block_y * a.n;
    for (std::uint64_t i = at.thread; i < a.n; i += threads) a.out[to + i] = a.x[from + i];
  }
};

// Rows whose columns came in parts of `each`, all rows of a part behind those of the one before.
// Grid: (n / chunk, rows).
struct join_body {
  static constexpr std::uint32_t threads = 256, chunk = 1024;
  struct arguments {
    const float* parts;
    std::uint64_t each, n;
    std::uint32_t rows;
    float* out;  // rows of n
    bool add;
  };
  using shared = nothing;
  using registers = nothing;

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 1; }
  TROUPE_BODY static void step(std::uint32_t, const arguments& a, const place& at, shared&,
                               registers&) {
    const std::uint64_t begin = std::uint64_t{at.block_x} * chunk;
    const std::uint64_t end = begin + chunk < a.n ? begin + chunk : a.n;
    for (std::uint64_t i = begin + at.thread; i < end; i += threads) {
      const std::uint64_t part = i / a.each;
      const float value = a.parts[(part * a.rows + at.block_y) * a.each + i % a.each];
      float* const to = a.out + at.block_y * a.n + i;
      *to = a.add ? *to + value : value;
    }
  }
};

}  // namespace troupe::kernels::cuda
