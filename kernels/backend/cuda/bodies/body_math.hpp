// The arithmetic that kernel bodies are made of, the same bits on the device and on the host.
//
// A body is the code of one kernel without its launch: `arguments` (plain data), `shared` (one of a
// block), `registers` (one of a thread), `threads` of a block, steps(arguments, place) and
// step(i, ...), with a barrier after each step. The device runs it in launch.cuh; tests run it on
// the host thread by thread, in several orders, and compare with the CPU's reference. So bodies use
// no warp shuffle: what threads tell each other goes through `shared`.
//
// Everything here rounds once for each operation, as the CPU's class does: nvcc is told not to
// contract, and divisions and roots are the correctly rounded ones.
#pragma once

#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/ops/elementwise.hpp"

#if defined(__CUDACC__)
#define TROUPE_BODY __host__ __device__ __forceinline__
#define TROUPE_UNROLL _Pragma("unroll")
#else
#define TROUPE_BODY inline
#define TROUPE_UNROLL
#endif

namespace troupe::kernels::cuda {

// Which thread of which block.
struct place {
  std::uint32_t block_x = 0, block_y = 0, block_z = 0, thread = 0;
};

// 16 bytes that are read at once; the address is a multiple of 16.
struct alignas(16) quad {
  std::uint32_t word[4];
};

TROUPE_BODY float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

TROUPE_BODY float divided(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fdiv_rn(a, b);
#else
  return a / b;
#endif
}

TROUPE_BODY float root(float x) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(x);
#else
  return std::sqrt(x);
#endif
}

TROUPE_BODY std::uint32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  return std::bit_cast<std::uint32_t>(x);
#endif
}

TROUPE_BODY float float_of(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

TROUPE_BODY float magnitude(float x) {
  return float_of(bits_of(x) & 0x7fffffffu);
}
TROUPE_BODY bool finite(float x) {
  return (bits_of(x) & 0x7f800000u) != 0x7f800000u;
}

// To the nearest whole number, halves to the even one.
TROUPE_BODY int nearest(float x) {
#if defined(__CUDA_ARCH__)
  return __float2int_rn(x);
#else
  return static_cast<int>(std::nearbyint(x));
#endif
}

TROUPE_BODY float widen_half(std::uint16_t half) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
#else
  const std::uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31u;
  const std::uint32_t fraction = half & 0x3ffu;
  if (exponent == 0) {
    const float small = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -small : small;
  }
  const std::uint32_t widened = exponent == 31 ? 255u : exponent + 112u;
  return float_of(sign | (widened << 23) | (fraction << 13));
#endif
}

// Round to nearest even; every NaN becomes 0x7e00 with its sign.
TROUPE_BODY std::uint16_t narrow_to_half(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  std::uint32_t size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (size >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (size < 0x38800000u) {  // a half's unit here is the float's unit at 0.5
    const std::uint32_t shifted = bits_of(float_of(size) + 0.5f);
    return static_cast<std::uint16_t>(sign | (shifted - 0x3f000000u));
  }
  size += 0xfffu + ((size >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((size - 0x38000000u) >> 13));
}

TROUPE_BODY float widen_bfloat(std::uint16_t bits) {
  return float_of(static_cast<std::uint32_t>(bits) << 16);
}

TROUPE_BODY quad load_quad(const std::uint8_t* from) {
  quad value;
#if defined(__CUDA_ARCH__)
  const uint4 loaded = __ldg(reinterpret_cast<const uint4*>(from));
  value.word[0] = loaded.x;
  value.word[1] = loaded.y;
  value.word[2] = loaded.z;
  value.word[3] = loaded.w;
#else
  assert(reinterpret_cast<std::uintptr_t>(from) % sizeof value == 0);  // the device would fault
  std::memcpy(&value, from, sizeof value);
#endif
  return value;
}

// Four int8 of a times four of b, added to c.
TROUPE_BODY std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c) {
#if defined(__CUDA_ARCH__)
  return __dp4a(static_cast<int>(a), static_cast<int>(b), c);
#else
  for (int i = 0; i < 32; i += 8)
    c += static_cast<std::int8_t>(a >> i & 255u) * static_cast<std::int8_t>(b >> i & 255u);
  return c;
#endif
}

// exp as elementwise.hpp defines it.
TROUPE_BODY float exact_exponential(float x) {
  constexpr float t0 = exp_terms[0], t1 = exp_terms[1], t2 = exp_terms[2];
  constexpr float t3 = exp_terms[3], t4 = exp_terms[4], t5 = exp_terms[5];
  static_assert(exp_term_count == 6);
  if (x < exp_smallest) return 0.0f;
  if (x > exp_largest) x = exp_largest;
  const float z = fused(x, exp_log2e, exp_round);
  const float n = z - exp_round;
  float r = fused(n, -exp_ln2_high, x);
  r = fused(n, -exp_ln2_low, r);
  float p = fused(t5, r, t4);
  p = fused(p, r, t3);
  p = fused(p, r, t2);
  p = fused(p, r, t1);
  p = fused(p, r, t0);
  const float y = fused(p, r * r, r) + 1.0f;
  return float_of(bits_of(y) + (bits_of(z) << 23));
}

// The fixed tree of 16 lanes that lie `stride` floats apart.
TROUPE_BODY float tree_of(const float* lanes, std::uint32_t stride = 1) {
  float s[16];
  TROUPE_UNROLL
  for (int i = 0; i < 16; ++i) s[i] = lanes[i * stride];
  TROUPE_UNROLL
  for (int half = 8; half > 0; half /= 2) {
    TROUPE_UNROLL
    for (int i = 0; i < 8; ++i)
      if (i < half) s[i] = s[i] + s[i + half];
  }
  return s[0];
}

}  // namespace troupe::kernels::cuda
