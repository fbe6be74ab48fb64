// Weights and rows as float16 and bfloat16, and the tensor cores' product of them: what the bodies
// of the class `tensor` (half_product_bodies.hpp) are made of.
//
// A "sixteen" is 16 values along k, half a unit (weight_planes.hpp): what one lane of a warp has of
// a group of 64.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/weight_planes.hpp"

namespace troupe::kernels::cuda {

// How rows of x are written for weights of a type.
enum class half_form : std::uint8_t { half, bfloat };
constexpr half_form half_form_of(tensor_type type) {
  return type == tensor_type::bf16 ? half_form::bfloat : half_form::half;
}

// To nearest even; a NaN stays one, its payload is not fixed.
TROUPE_BODY std::uint16_t narrow_to_bfloat(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// Two values, rounded to nearest even; `low` in the low half.
template <half_form Form>
TROUPE_BODY std::uint32_t narrow_pair(float low, float high) {
#if defined(__CUDA_ARCH__)
  std::uint32_t pair;
  if constexpr (Form == half_form::half)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  if constexpr (Form == half_form::half)
    return narrow_to_half(low) | static_cast<std::uint32_t>(narrow_to_half(high)) << 16;
  return narrow_to_bfloat(low) | static_cast<std::uint32_t>(narrow_to_bfloat(high)) << 16;
#endif
}

// 16 bytes from the device's memory to a block's shared memory, past the registers: whole only
// behind finish_copies() and a barrier.
TROUPE_BODY void copy_quad(quad* to, const std::uint8_t* from) {
#if defined(__CUDA_ARCH__)
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  *to = load_quad(from);
#endif
}
TROUPE_BODY void finish_copies() {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// What is read of 16 weights: first read, then made halves, so that several can be on their way.
template <tensor_type Type>
struct sixteen_bytes {
  static constexpr int quads = Type == tensor_type::q8_0 || Type == tensor_type::q4_0 ? 1
                               : Type == tensor_type::q5_k                            ? 3
                                                                                      : 2;
  quad read[quads];
  std::uint16_t d;
  std::int8_t scale;
};

struct sixteen_halves {
  std::uint32_t word[8];  // two values each
};

// Sixteen `s` of a quantized row.
template <tensor_type Type>
TROUPE_BODY sixteen_bytes<Type> read_sixteen(const std::uint8_t* row, const std::uint16_t* scales,
                                             std::uint32_t s) {
  static_assert(quantized(Type));
  sixteen_bytes<Type> bytes = {};
  const std::uint32_t unit = s / 2, half = s % 2, j = unit % 8;
  const std::uint8_t* block = row + std::uint64_t{s / 16} * weight_geometry_of(Type).kept;
  if constexpr (Type == tensor_type::q8_0) {
    bytes.read[0] = load_quad(row + std::uint64_t{s} * 16);
    bytes.d = scales[unit];
  } else if constexpr (Type == tensor_type::q4_0) {
    bytes.read[0] = load_quad(row + std::uint64_t{unit} * 16);
    bytes.d = scales[unit];
  } else if constexpr (has_minimum(Type)) {
    constexpr std::uint32_t nibbles_at = Type == tensor_type::q4_k ? 16 : 48;
    bytes.read[0] = load_quad(block + nibbles_at + j / 2 * 32 + half * 16);
    bytes.read[1] = load_quad(block);  // d, dmin and the units' scales
    if constexpr (Type == tensor_type::q5_k) bytes.read[2] = load_quad(block + 16 + half * 16);
  } else {
    bytes.read[0] = load_quad(block + j / 4 * 64 + j % 2 * 32 + half * 16);
    bytes.read[1] = load_quad(block + 128 + j / 4 * 32 + half * 16);
    bytes.scale = static_cast<std::int8_t>(block[192 + 2 * j + half]);
    bytes.d = scales[s / 16];
  }
  return bytes;
}

// Four codes of sixteen `s`, each as an unsigned byte.
template <tensor_type Type>
TROUPE_BODY std::uint32_t codes_of(const sixteen_bytes<Type>& bytes, std::uint32_t s,
                                   std::uint32_t word) {
  const std::uint32_t first = bytes.read[0].word[word], j = s / 2 % 8;
  if constexpr (Type == tensor_type::q8_0) return first ^ 0x80808080u;
  if constexpr (Type == tensor_type::q4_0) return first >> (s % 2 * 4) & 0x0f0f0f0fu;
  if constexpr (has_minimum(Type)) {
    std::uint32_t codes = first >> (j % 2 * 4) & 0x0f0f0f0fu;
    if constexpr (Type == tensor_type::q5_k)
      codes |= (bytes.read[2].word[word] >> j & 0x01010101u) << 4;
    return codes;
  }
  if constexpr (Type == tensor_type::q6_k)
    return (first >> (j % 4 / 2 * 4) & 0x0f0f0f0fu) |
           (bytes.read[1].word[word] >> (j % 4 * 2) & 0x03030303u) << 4;
  return 0;
}

// Byte i of a word, less `offset`, exactly: through a float's fraction, which is faster than
// converting.
TROUPE_BODY float float_of_byte(std::uint32_t word, std::uint32_t i, int offset) {
#if defined(__CUDA_ARCH__)
  const std::uint32_t bits = __byte_perm(word, 0x4b000000u, 0x7650u | i);
#else
  const std::uint32_t bits = 0x4b000000u | (word >> (8 * i) & 255u);
#endif
  return float_of(bits) - (0x1p23f + static_cast<float>(offset));
}

// The factor of 16 codes and what is taken off: row_codec's roundings, as read_value().
struct sixteen_scales {
  float scale, low;
};
template <tensor_type Type>
TROUPE_BODY sixteen_scales scales_of(const sixteen_bytes<Type>& bytes, std::uint32_t s) {
  if constexpr (has_minimum(Type)) {
    const std::uint32_t j = s / 2 % 8;
    const std::uint32_t head = bytes.read[1].word[0];
    const unit_scales whole = unit_scales_of(bytes.read[1], j);
    const float d = widen_half(static_cast<std::uint16_t>(head & 0xffffu));
    const float dmin = widen_half(static_cast<std::uint16_t>(head >> 16));
    return {d * static_cast<float>(whole.first), dmin * static_cast<float>(whole.second)};
  } else if constexpr (Type == tensor_type::q6_k) {
    return {widen_half(bytes.d) * static_cast<float>(bytes.scale), 0.0f};
  } else {
    return {widen_half(bytes.d), 0.0f};
  }
}

// The weights' values: decoded in float, then rounded to float16; those of float types as they are.
template <tensor_type Type>
TROUPE_BODY sixteen_halves halves_of(const sixteen_bytes<Type>& bytes, std::uint32_t s) {
  sixteen_halves out;
  if constexpr (!quantized(Type)) {
    TROUPE_UNROLL
    for (int i = 0; i < 8; ++i) out.word[i] = bytes.read[i / 4].word[i % 4];
    return out;
  } else {
    constexpr int offset = Type == tensor_type::q8_0 ? 128 : code_offset(Type);
    const sixteen_scales by = scales_of<Type>(bytes, s);
    TROUPE_UNROLL
    for (std::uint32_t w = 0; w < 4; ++w) {
      const std::uint32_t codes = codes_of<Type>(bytes, s, w);
      float value[4];
      TROUPE_UNROLL
      for (std::uint32_t i = 0; i < 4; ++i) {
        value[i] = by.scale * float_of_byte(codes, i, offset);
        if constexpr (has_minimum(Type)) value[i] = value[i] - by.low;
      }
      out.word[2 * w] = narrow_pair<half_form::half>(value[0], value[1]);
      out.word[2 * w + 1] = narrow_pair<half_form::half>(value[2], value[3]);
    }
    return out;
  }
}

}  // namespace troupe::kernels::cuda
