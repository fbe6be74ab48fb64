// Rows of x made ready for the products of half_product_bodies.hpp, which says how they are
// rounded.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/half_math.hpp"
#include "kernels/backend/cuda/bodies/row_bodies.hpp"

namespace troupe::kernels::cuda {

// A row of n values takes so many: the rest is zeros.
constexpr std::uint64_t half_width(std::uint64_t n) {
  return (n + 63) / 64 * 64;
}

// The power of two that brings a row's largest value into [2^13, 2^14), and its inverse; a row
// whose largest is below 2^-113 stays below. NaN: the row is not finite.
struct half_scale {
  float factor, inverse;
};
TROUPE_BODY half_scale half_scale_of(float largest) {
  if (!finite(largest)) return {0.0f, float_of(0x7fc00000u)};
  const std::uint32_t exponent = bits_of(largest) >> 23;  // with its bias of 127
  const std::uint32_t shift = 13 + 127 + 127 - (exponent > 14 ? exponent : 14);
  return {float_of(shift << 23), float_of((254 - shift) << 23)};
}

struct half_row_arguments {
  const float* x = nullptr;
  std::uint64_t n = 0;
  const float* scales = nullptr;    // normed: one for each row
  const float* weight = nullptr;    // normed
  const float* up = nullptr;        // gated: as x
  std::uint16_t* values = nullptr;  // [rows][half_width(n)]
  float* inverse = nullptr;         // half: of each row's scale
};

// One pass over x finds a row's largest value, the next makes the values again and rounds them:
// they are cheaper to make twice than to keep. Grid: (1, rows).
template <row_source Source, half_form Form>
struct prepare_half_body {
  static constexpr std::uint32_t threads = 512, parts = 16;
  using arguments = half_row_arguments;
  struct shared {
    float largest[threads];
    float part[parts];
  };
  using registers = nothing;

  TROUPE_BODY static float value(const arguments& a, std::uint64_t row, std::uint64_t k) {
    return prepare_body<Source, 1>::value(
        {a.x, a.n, a.scales, a.weight, a.up, nullptr, nullptr, nullptr, nullptr}, row, k);
  }

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) {
    return Form == half_form::half ? 3 : 1;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers&) {
    if constexpr (Form == half_form::bfloat) {
      write(a, at, 1.0f, true);
    } else if (i == 0) {
      float largest = 0;
      for (std::uint64_t k = at.thread; k < a.n; k += threads)
        largest = larger(largest, magnitude(value(a, at.block_y, k)));
      s.largest[at.thread] = largest;
    } else if (i == 1) {
      if (at.thread >= parts) return;
      float largest = 0;
      for (std::uint32_t t = at.thread; t < threads; t += parts)
        largest = larger(largest, s.largest[t]);
      s.part[at.thread] = largest;
    } else {
      float largest = 0;
      TROUPE_UNROLL
      for (std::uint32_t t = 0; t < parts; ++t) largest = larger(largest, s.part[t]);
      const half_scale scale = half_scale_of(largest);
      write(a, at, scale.factor, finite(largest));
      if (at.thread == 0) a.inverse[at.block_y] = scale.inverse;
    }
  }

  // What is not finite is larger than all else.
  TROUPE_BODY static float larger(float a, float b) {
    if (!finite(a)) return a;
    return !finite(b) || b > a ? b : a;
  }

  TROUPE_BODY static void write(const arguments& a, const place& at, float factor, bool keep) {
    const std::uint64_t width = half_width(a.n);
    auto* to = reinterpret_cast<std::uint32_t*>(a.values + at.block_y * width);
    for (std::uint64_t pair = at.thread; pair < width / 2; pair += threads) {
      float both[2];
      TROUPE_UNROLL
      for (std::uint32_t i = 0; i < 2; ++i) {
        const std::uint64_t k = 2 * pair + i;
        both[i] = keep && k < a.n ? value(a, at.block_y, k) * factor : 0.0f;
      }
      to[pair] = narrow_pair<Form>(both[0], both[1]);
    }
  }
};

}  // namespace troupe::kernels::cuda
