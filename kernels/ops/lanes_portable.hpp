// 16 lanes as a plain array: what the templates of elementwise_lanes.hpp and attention_lanes.hpp
// compute with where no instruction set is known. Its members are the list that every lanes type
// provides.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels {

struct lanes_portable {
  struct vec {
    float lane[16];
  };
  // Tile sizes: blocks of keys beside few rows, blocks and rows of a large tile, rows and vectors
  // of values.
  static constexpr int narrow_blocks = 1, wide_blocks = 1, wide_rows = 4, value_rows = 2,
                       value_vectors = 2;

  template <class F>
  static vec each(F f) {
    vec r;
    for (int i = 0; i < 16; ++i) r.lane[i] = f(i);
    return r;
  }
  static vec set(float x) {
    return each([&](int) { return x; });
  }
  static vec load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static void store(float* p, const vec& a) {
    for (int i = 0; i < 16; ++i) p[i] = a.lane[i];
  }
  static vec load_half(const std::uint16_t* p) {
    return each([&](int i) { return half_to_float(p[i]); });
  }
  static vec load_bytes(const std::int8_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static void store_half(std::uint16_t* p, const vec& a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.lane[i]);
  }
  static vec fma(const vec& a, const vec& b, const vec& c) {
    return each([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
  }
  static vec add(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static vec sub(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static vec mul(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static vec div(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static vec sqrt(const vec& a) {
    return each([&](int i) { return std::sqrt(a.lane[i]); });
  }
  // a < b ? a : b, and a > b ? a : b: b where either is NaN.
  static vec min(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static vec max(const vec& a, const vec& b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  // Zero where x < limit, else y.
  static vec zero_below(const vec& x, float limit, const vec& y) {
    return each([&](int i) { return x.lane[i] < limit ? 0.0f : y.lane[i]; });
  }
  // y * 2^n, where n stands in the low bits of z (see exp in elementwise.hpp).
  static vec scale(const vec& y, const vec& z) {
    return each([&](int i) {
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(y.lane[i]) +
                                  (std::bit_cast<std::uint32_t>(z.lane[i]) << 23));
    });
  }
  // The first `count` lanes of a, then fill.
  static vec first(const vec& a, std::uint32_t count, float fill) {
    return each([&](int i) { return static_cast<std::uint32_t>(i) < count ? a.lane[i] : fill; });
  }
  static vec swap_pairs(const vec& a) {
    return each([&](int i) { return a.lane[i ^ 1]; });
  }
  static float first_of(const vec& a) { return a.lane[0]; }
  static float tree_sum(const vec& a) {
    vec s = a;
    for (int half = 8; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) s.lane[i] += s.lane[i + half];
    return s.lane[0];
  }
  static float max_of(const vec& a) {
    float m = a.lane[0];
    for (int i = 1; i < 16; ++i) m = a.lane[i] > m ? a.lane[i] : m;
    return m;
  }
};

}  // namespace troupe::kernels
