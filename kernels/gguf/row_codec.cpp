#include "kernels/gguf/row_codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/gguf/k_quants.hpp"
#include "kernels/gguf/rounding.hpp"

namespace troupe::kernels {
namespace {

std::uint16_t load_u16(const std::byte* from) {
  std::uint16_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void store_u16(std::byte* to, std::uint16_t value) {
  std::memcpy(to, &value, sizeof value);
}

void decode_q8_0(const std::byte* block, float* out) {
  const float scale = half_to_float(load_u16(block));
  for (int i = 0; i < 32; ++i)
    out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

void decode_q4_0(const std::byte* block, float* out) {
  const float scale = half_to_float(load_u16(block));
  for (int i = 0; i < 16; ++i) {
    const int pair = std::to_integer<int>(block[2 + i]);
    out[i] = scale * static_cast<float>((pair & 15) - 8);
    out[i + 16] = scale * static_cast<float>((pair >> 4) - 8);
  }
}

float largest_magnitude(const float* x, int count) {
  float largest = 0;
  for (int i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

void encode_q8_0(const float* x, std::byte* block) {
  const std::uint16_t half = float_to_half(largest_magnitude(x, 32) / 127.0F);
  const float scale = half_to_float(half);
  const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
  store_u16(block, half);
  for (int i = 0; i < 32; ++i)
    block[2 + i] = static_cast<std::byte>(
        static_cast<std::int8_t>(std::clamp(nearest_whole(x[i] * inverse), -127.0F, 127.0F)));
}

struct q4_0_trial {
  std::array<int, 32> codes{};  // -8 .. 7
  float error = 0;
};

q4_0_trial try_q4_0(const float* x, float scale) {
  q4_0_trial trial;
  const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
  for (int i = 0; i < 32; ++i) {
    const float code = std::clamp(nearest_whole(x[i] * inverse), -8.0F, 7.0F);
    const float miss = x[i] - scale * code;
    trial.codes[static_cast<std::size_t>(i)] = static_cast<int>(code);
    trial.error += miss * miss;
  }
  return trial;
}

// The scale that puts the largest value on -8, and its neighbours: whichever misses least.
void encode_q4_0(const float* x, std::byte* block) {
  float extreme = 0;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  std::uint16_t best_half = 0;
  q4_0_trial best = try_q4_0(x, 0);
  for (int step = 0; step <= 8; ++step) {
    const std::uint16_t half = float_to_half(extreme / (-7.6F - 0.2F * static_cast<float>(step)));
    const q4_0_trial trial = try_q4_0(x, half_to_float(half));
    if (trial.error < best.error) {
      best = trial;
      best_half = half;
    }
  }
  store_u16(block, best_half);
  for (std::size_t i = 0; i < 16; ++i)
    block[2 + i] = static_cast<std::byte>((best.codes[i] + 8) | ((best.codes[i + 16] + 8) << 4));
}

template <class Decode>
void decode_blocks(Decode decode, const tensor_type_row& row, std::span<const std::byte> bytes,
                   std::span<float> out) {
  for (std::size_t block = 0; block * row.elements < out.size(); ++block)
    decode(bytes.data() + block * row.bytes, out.data() + block * row.elements);
}

template <class Encode>
void encode_blocks(Encode encode, const tensor_type_row& row, std::span<const float> values,
                   std::span<std::byte> out) {
  for (std::size_t block = 0; block * row.elements < values.size(); ++block)
    encode(values.data() + block * row.elements, out.data() + block * row.bytes);
}

// Largest magnitude whose scale (or value) still fits the type's half-precision numbers, with room
// for rounding.
float magnitude_max(tensor_type type) {
  switch (type) {
    case tensor_type::f32:
      return std::numeric_limits<float>::max();
    case tensor_type::bf16:
      return 0x1.fep127F;
    case tensor_type::f16:
      return 65504.0F;
    case tensor_type::q8_0:
      return 65504.0F * 126.0F;
    case tensor_type::q4_0:
      return 65504.0F * 7.0F;
    default:
      return 65504.0F * 4.0F;
  }
}

}  // namespace

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 31U;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t widened = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | (widened << 23) | (fraction << 13));
}

std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);  // NaN
  if (magnitude >= 0x477ff000U)
    return static_cast<std::uint16_t>(sign | 0x7c00U);  // 65520 and more
  if (magnitude < 0x38800000U) {
    // Below 2^-14 the half's unit is 2^-24, which is the float's unit at 0.5: the sum rounds as we
    // need.
    const auto shifted = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F);
    return static_cast<std::uint16_t>(sign | (shifted - 0x3f000000U));
  }
  magnitude += 0xfffU + ((magnitude >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U) >> 13));
}

float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t float_to_bfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

void decode_row(tensor_type type, std::span<const std::byte> bytes, std::span<float> out) {
  const tensor_type_row& row = row_of(type);
  assert(out.size() % row.elements == 0 && bytes.size() == out.size() / row.elements * row.bytes);
  switch (type) {
    case tensor_type::f32:
      if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
      return;
    case tensor_type::f16:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = half_to_float(load_u16(&bytes[2 * i]));
      return;
    case tensor_type::bf16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = bfloat_to_float(load_u16(&bytes[2 * i]));
      return;
    case tensor_type::q8_0:
      return decode_blocks(decode_q8_0, row, bytes, out);
    case tensor_type::q4_0:
      return decode_blocks(decode_q4_0, row, bytes, out);
    case tensor_type::q4_k:
      return decode_blocks(k_quants::decode_q4_k, row, bytes, out);
    case tensor_type::q5_k:
      return decode_blocks(k_quants::decode_q5_k, row, bytes, out);
    case tensor_type::q6_k:
      return decode_blocks(k_quants::decode_q6_k, row, bytes, out);
  }
}

status encode_row(tensor_type type, std::span<const float> values, std::span<std::byte> out) {
  const tensor_type_row& row = row_of(type);
  assert(values.size() % row.elements == 0 &&
         out.size() == values.size() / row.elements * row.bytes);
  const float limit = magnitude_max(type);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!(std::fabs(values[i]) <= limit))
      return error{error_code::invalid_argument,
                   "value " + std::to_string(i) + " of the row is " + std::to_string(values[i]) +
                       "; " + std::string(row.name) + " holds finite values up to " +
                       std::to_string(limit),
                   {}};
  switch (type) {
    case tensor_type::f32:
      if (!out.empty()) std::memcpy(out.data(), values.data(), out.size());
      break;
    case tensor_type::f16:
      for (std::size_t i = 0; i < values.size(); ++i)
        store_u16(&out[2 * i], float_to_half(values[i]));
      break;
    case tensor_type::bf16:
      for (std::size_t i = 0; i < values.size(); ++i)
        store_u16(&out[2 * i], float_to_bfloat(values[i]));
      break;
    case tensor_type::q8_0:
      encode_blocks(encode_q8_0, row, values, out);
      break;
    case tensor_type::q4_0:
      encode_blocks(encode_q4_0, row, values, out);
      break;
    case tensor_type::q4_k:
      encode_blocks(k_quants::encode_q4_k, row, values, out);
      break;
    case tensor_type::q5_k:
      encode_blocks(k_quants::encode_q5_k, row, values, out);
      break;
    case tensor_type::q6_k:
      encode_blocks(k_quants::encode_q6_k, row, values, out);
      break;
  }
  return {};
}

}  // namespace troupe::kernels
