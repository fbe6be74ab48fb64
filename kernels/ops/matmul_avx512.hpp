// What the AVX-512 files share. Private; included only by files compiled for that instruction set
// (the AMX file too).
#pragma once

// g++ 12 takes the deliberately undefined operands inside its own intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/ops/matmul_layout.hpp"

namespace troupe::kernels {

multiply_function multiply_f32_avx512, multiply_f16_avx512, multiply_bf16_avx512;
multiply_function multiply_q8_0_avx512, multiply_q4_0_avx512, multiply_q4_k_avx512,
    multiply_q5_k_avx512, multiply_q6_k_avx512;
quantize_by_32_function quantize_by_32_avx512;
quantize_by_256_function quantize_by_256_avx512;

namespace {

// Six-bit scales and minimums of a q4_k or q5_k block: byte i of a row's four is sub-block i, or i
// + 4 in [1].
struct k_scales {
  __m512i scale[2], minimum[2];
};

[[maybe_unused]] inline k_scales open_k_scales(const std::uint8_t* at) {
  const __m512i a = _mm512_loadu_si512(at), b = _mm512_loadu_si512(at + 64);
  const __m512i c = _mm512_loadu_si512(at + 128);
  const __m512i low = _mm512_set1_epi8(15), pair = _mm512_set1_epi8(0x30);
  const auto join = [&](__m512i nibble, __m512i high) {
    return _mm512_or_si512(_mm512_and_si512(nibble, low), _mm512_and_si512(high, pair));
  };
  return {
      {join(a, _mm512_slli_epi16(c, 4)), join(b, _mm512_slli_epi16(c, 2))},
      {join(_mm512_srli_epi16(a, 4), c), join(_mm512_srli_epi16(b, 4), _mm512_srli_epi16(c, 2))}};
}

// Puts the fifth bits of sub-blocks 2C and 2C + 1 above their nibbles.
template <int C>
[[maybe_unused]] inline void fifth_bits(__m512i bits, __m512i& low, __m512i& high) {
  const __m512i fifth = _mm512_set1_epi8(16);
  constexpr int to_low = 4 - 2 * C, to_high = 3 - 2 * C;
  const __m512i l = to_low >= 0 ? _mm512_slli_epi16(bits, to_low >= 0 ? to_low : 0)
                                : _mm512_srli_epi16(bits, to_low < 0 ? -to_low : 0);
  const __m512i h = to_high >= 0 ? _mm512_slli_epi16(bits, to_high >= 0 ? to_high : 0)
                                 : _mm512_srli_epi16(bits, to_high < 0 ? -to_high : 0);
  low = _mm512_or_si512(low, _mm512_and_si512(l, fifth));
  high = _mm512_or_si512(high, _mm512_and_si512(h, fifth));
}

// The unsigned 6-bit values of quarters P and P + 2 of half a q6_k block, from a vector of nibbles
// and one of bit pairs.
template <int P>
[[maybe_unused]] inline void q6_quarters(__m512i nibbles, __m512i pairs, __m512i& first,
                                         __m512i& second) {
  const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);
  const auto join = [&](__m512i nibble, __m512i pair) {
    return _mm512_or_si512(_mm512_and_si512(nibble, low), _mm512_and_si512(pair, high));
  };
  first = join(nibbles, _mm512_slli_epi16(pairs, 4 - 2 * P));
  second = join(_mm512_srli_epi16(nibbles, 4), P == 0 ? pairs : _mm512_srli_epi16(pairs, 2));
}

}  // namespace
}  // namespace troupe::kernels
