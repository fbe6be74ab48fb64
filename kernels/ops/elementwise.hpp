// Row operations other than matrix products, in the fixed order of numerics class cpu-1. Plain
// data: the files of each instruction set include it.
//
// "lanes": lane j of 16 takes the elements j, j + 16, j + 32 ... in rising order; "tree": the lanes
// are then combined 8 + 8, 4 + 4, 2 + 2, 1 + 1 (lane i with lane i + half). All arithmetic is
// float32, round to nearest even; a fused multiply-add stands only where "fma" is written.
//
// exp(x): 0 for x < -87; x = min(x, 88); z = fma(x, log2 e, 1.5 * 2^23); n = z - 1.5 * 2^23; r =
// fma(n, -ln2_high, x); r = fma(n, -ln2_low, r); p = Horner by fma over exp_terms, highest first; y
// = fma(p, r * r, r) + 1, times 2^n (exact). Error below 2 units in the last place. exp(0) == 1.
//
// Threading: pure functions. Pointers need no alignment; n may be any number. Infinite or NaN input
// gives NaN somewhere in that row's own output and nowhere else.
#pragma once

#include <cstdint>

namespace troupe::kernels {

inline constexpr float exp_log2e = 0x1.715476p+0f;
inline constexpr float exp_ln2_high = 0x1.62ep-1f;
inline constexpr float exp_ln2_low = 0x1.0bfbe8p-15f;
inline constexpr float exp_round = 12582912.0f;
inline constexpr float exp_smallest = -87.0f;
inline constexpr float exp_largest = 88.0f;
// Terms of (exp(r) - 1 - r) / r^2 on |r| <= ln 2 / 2, interpolated at Chebyshev nodes; lowest
// first.
inline constexpr int exp_term_count = 6;
inline constexpr float exp_terms[exp_term_count] = {
    0x1p-1f, 0x1.555556p-3f, 0x1.5554e8p-5f, 0x1.1110ep-7f, 0x1.6d4364p-10f, 0x1.a1252ap-13f};

// Elements in one partial sum of `exponentials`.
inline constexpr std::uint64_t exponential_sum_block = 1024;

struct elementwise_ops {
  // s = lanes by fma of x * x, tree; scale = 1 / sqrt(s / n + epsilon); y = (x * scale) * weight. y
  // may be x.
  void (*rms_norm)(const float* x, const float* weight, std::uint64_t n, float epsilon, float* y);
  // x = x + y
  void (*add)(float* x, const float* y, std::uint64_t n);
  // gate = (gate / (1 + exp(-gate))) * up
  void (*silu_multiply)(float* gate, const float* up, std::uint64_t n);
  // Each of `count` heads of `dimension` (even): x = x * cosines + (x with the two of each pair
  // swapped) * sines, products rounded before the sum; cosines are (c0, c0, c1, c1, ...), sines
  // (-s0, s0, -s1, s1, ...).
  void (*rotate)(float* heads, std::uint64_t count, std::uint64_t dimension, const float* cosines,
                 const float* sines);
  // The largest element; n >= 1.
  float (*largest)(const float* x, std::uint64_t n);
  // out = exp((x - shift) * factor); returns the sum: blocks of exponential_sum_block by lanes and
  // tree, the blocks' sums added as double in rising order. out may be null, or x.
  double (*exponentials)(const float* x, std::uint64_t n, float shift, float factor, float* out);
};

}  // namespace troupe::kernels
