#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gguf/row_codec.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

// The half's value by its definition.
double half_value(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

std::vector<float> decoded(tensor_type type, const std::vector<std::byte>& bytes) {
  std::vector<float> out(bytes.size() / row_of(type).bytes * row_of(type).elements);
  decode_row(type, bytes, out);
  return out;
}

std::vector<std::byte> encoded(tensor_type type, const std::vector<float>& values) {
  std::vector<std::byte> out(values.size() / row_of(type).elements * row_of(type).bytes);
  REQUIRE(encode_row(type, values, out).ok());
  return out;
}

void put_half(std::vector<std::byte>& bytes, std::size_t offset, float value) {
  const std::uint16_t half = float_to_half(value);
  bytes[offset] = static_cast<std::byte>(half & 255);
  bytes[offset + 1] = static_cast<std::byte>(half >> 8);
}

// Bell-shaped values from a small counter, in exact arithmetic.
std::vector<float> bell(std::size_t count, std::uint32_t state = 1) {
  std::vector<float> values(count);
  for (float& value : values) {
    std::int32_t sum = 0;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525U + 1013904223U;
      sum += static_cast<std::int32_t>(state >> 16);
    }
    value = static_cast<float>(sum - 6 * 65536) * 0x1p-16F;
  }
  return values;
}

double mean_square_error(tensor_type type, const std::vector<float>& values) {
  const std::vector<float> back = decoded(type, encoded(type, values));
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += std::pow(double{values[i]} - back[i], 2);
  return sum / static_cast<double>(values.size());
}

std::uint64_t fingerprint(const std::vector<std::byte>& bytes) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const std::byte b : bytes)
    hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 1099511628211ULL;
  return hash;
}

constexpr tensor_type all_types[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::bf16,
                                     tensor_type::q8_0, tensor_type::q4_0, tensor_type::q4_k,
                                     tensor_type::q5_k, tensor_type::q6_k};

}  // namespace

TEST_CASE("every half is read by its definition and written back as itself") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if ((half & 0x7c00) == 0x7c00) continue;
    REQUIRE(double{half_to_float(half)} == half_value(half));
    REQUIRE(float_to_half(half_to_float(half)) == half);
  }
  CHECK(half_to_float(0x7c00) == std::numeric_limits<float>::infinity());
  CHECK(half_to_float(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(half_to_float(0x7e01)));
  CHECK(std::isnan(half_to_float(float_to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("between two halves the nearer is taken, and of two equally near the even one") {
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const auto high = static_cast<std::uint16_t>(bits + 1);
    const auto middle = static_cast<float>((half_value(low) + half_value(high)) / 2);
    REQUIRE(float_to_half(middle) == (bits % 2 == 0 ? low : high));
    REQUIRE(float_to_half(std::nextafterf(middle, 0)) == low);
    REQUIRE(float_to_half(std::nextafterf(middle, 1e6F)) == high);
    REQUIRE(float_to_half(-std::nextafterf(middle, 1e6F)) == (high | 0x8000));
  }
  CHECK(float_to_half(65519.996F) == 0x7bff);
  CHECK(float_to_half(65520.0F) == 0x7c00);
}

TEST_CASE("bfloat takes the upper half of a float, rounded to even") {
  CHECK(float_to_bfloat(1.0F) == 0x3f80);
  CHECK(bfloat_to_float(0x3f80) == 1.0F);
  CHECK(float_to_bfloat(std::bit_cast<float>(0x3f808000U)) == 0x3f80);
  CHECK(float_to_bfloat(std::bit_cast<float>(0x3f818000U)) == 0x3f82);
  CHECK(float_to_bfloat(std::bit_cast<float>(0x3f808001U)) == 0x3f81);
  CHECK(std::isnan(bfloat_to_float(float_to_bfloat(std::bit_cast<float>(0x7f800001U)))));
}

TEST_CASE("q8_0: a half and 32 signed bytes") {
  std::vector<std::byte> block(34);
  put_half(block, 0, 0.5F);
  block[2] = std::byte{0x80};
  block[33] = std::byte{127};
  const auto out = decoded(tensor_type::q8_0, block);
  CHECK(out[0] == -64.0F);
  CHECK(out[31] == 63.5F);
  CHECK(out[1] == 0.0F);
}

TEST_CASE("q4_0: low nibbles are the first 16 values, high ones the last 16, less eight") {
  std::vector<std::byte> block(18, std::byte{0x88});
  put_half(block, 0, 2.0F);
  block[2] = std::byte{0xf0};
  block[17] = std::byte{0x1c};
  const auto out = decoded(tensor_type::q4_0, block);
  CHECK(out[0] == -16.0F);
  CHECK(out[16] == 14.0F);
  CHECK(out[15] == 8.0F);
  CHECK(out[31] == -14.0F);
  CHECK(out[1] == 0.0F);
}

TEST_CASE("q4_k: scales and lows come out of their twelve packed bytes") {
  std::vector<std::byte> block(144);
  put_half(block, 0, 1.0F);
  put_half(block, 2, 0.5F);
  // Group 1: scale 63, low 10. Group 5: scale 0b110101, low 0b101110 (upper pairs in bytes 1 and
  // 5).
  block[4 + 1] = std::byte{63 | (0b11 << 6)};
  block[4 + 5] = std::byte{10 | (0b10 << 6)};
  block[4 + 9] = std::byte{0b0101 | (0b1110 << 4)};
  block[16] = std::byte{0xa3};                // group 0 value 0 is 3, group 1 value 0 is 10
  block[16 + 2 * 32 + 31] = std::byte{0xc0};  // group 5 value 31 is 12
  const auto out = decoded(tensor_type::q4_k, block);
  CHECK(out[0] == 0.0F);
  CHECK(out[32] == 63.0F * 10 - 5.0F);
  CHECK(out[33] == -5.0F);
  CHECK(out[5 * 32] == -23.0F);
  CHECK(out[5 * 32 + 31] == 53.0F * 12 - 23.0F);
}

TEST_CASE("q5_k: the fifth bits lie between the scales and the nibbles, one bit a group") {
  std::vector<std::byte> block(176);
  put_half(block, 0, 1.0F);
  block[4] = std::byte{1};                   // group 0: scale 1
  block[4 + 11] = std::byte{2};              // group 7: scale 2
  block[16 + 3] = std::byte{0x81};           // value 3 of groups 0 and 7
  block[48 + 3] = std::byte{0x05};           // group 0 value 3: 5
  block[48 + 3 * 32 + 3] = std::byte{0x90};  // group 7 value 3: 9
  const auto out = decoded(tensor_type::q5_k, block);
  CHECK(out[3] == 21.0F);
  CHECK(out[7 * 32 + 3] == 2.0F * 25);
  CHECK(out[4] == 0.0F);
}

TEST_CASE("q6_k: nibbles, bit pairs, signed scales, and the half at the end") {
  std::vector<std::byte> block(210);
  put_half(block, 208, 0.25F);
  for (std::size_t i = 0; i < 16; ++i) block[192 + i] = static_cast<std::byte>(i + 1);
  block[192 + 15] = std::byte{0xfe};       // the last group's scale is -2
  block[5] = std::byte{0xb7};              // value 5: low nibble 7; value 69: low nibble 11
  block[128 + 5] = std::byte{0b00110010};  // value 5: 2, value 37: 0, value 69: 3, value 101: 0
  block[127] = std::byte{0x40};            // value 255: low nibble 4
  const auto out = decoded(tensor_type::q6_k, block);
  CHECK(out[5] == 0.25F * 1 * (39 - 32));
  CHECK(out[69] == 0.25F * 5 * (59 - 32));
  CHECK(out[37] == 0.25F * 3 * -32);
  CHECK(out[255] == 0.25F * -2 * (4 - 32));
}

TEST_CASE("values that lie on a type's own grid come back exactly") {
  std::vector<float> eights(32), fours(32);
  for (std::size_t i = 0; i < 32; ++i) {
    eights[i] = 0.25F * static_cast<float>(static_cast<int>(i * 8) - 127);
    fours[i] = 0.5F * static_cast<float>(static_cast<int>(i % 16) - 8);
  }
  CHECK(decoded(tensor_type::q8_0, encoded(tensor_type::q8_0, eights)) == eights);
  CHECK(decoded(tensor_type::q4_0, encoded(tensor_type::q4_0, fours)) == fours);
}

TEST_CASE("zero and constant rows survive every type") {
  for (const tensor_type type : all_types) {
    CAPTURE(row_of(type).name);
    const std::vector<float> zero(512, 0.0F);
    CHECK(decoded(type, encoded(type, zero)) == zero);
    for (const float constant : {1.0F, -3.0F}) {
      for (const float value : decoded(type, encoded(type, std::vector<float>(512, constant))))
        CHECK(value == doctest::Approx(constant).epsilon(0.02));
    }
    const std::vector<float> tiny(512, 1e-30F);
    for (const float value : decoded(type, encoded(type, tiny))) CHECK(std::fabs(value) <= 1e-29F);
  }
}

TEST_CASE("what a type cannot hold is refused") {
  for (const tensor_type type : all_types) {
    CAPTURE(row_of(type).name);
    std::vector<std::byte> out(512 / row_of(type).elements * row_of(type).bytes);
    std::vector<float> values(512, 1.0F);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      values[300] = bad;
      const status refused = encode_row(type, values, out);
      REQUIRE_FALSE(refused.ok());
      CHECK(refused.failure().code == error_code::invalid_argument);
      CHECK(refused.failure().message.find("value 300") != std::string::npos);
    }
    values[300] = 1e30F;
    CHECK(encode_row(type, values, out).ok() ==
          (type == tensor_type::f32 || type == tensor_type::bf16));
    values[300] = 60000.0F;
    REQUIRE(encode_row(type, values, out).ok());
    CHECK(decoded(type, out)[300] == doctest::Approx(60000.0F).epsilon(0.05));
  }
}

TEST_CASE("the error on bell-shaped weights stays within each type's budget") {
  struct budget {
    tensor_type type;
    double mean_square_error;
  };
  const std::vector<float> values = bell(256 * 256);
  for (const budget& row : {budget{tensor_type::f16, 2e-7}, budget{tensor_type::bf16, 4e-6},
                            budget{tensor_type::q8_0, 3.5e-5}, budget{tensor_type::q4_0, 6.8e-3},
                            budget{tensor_type::q4_k, 5.3e-3}, budget{tensor_type::q5_k, 1.35e-3},
                            budget{tensor_type::q6_k, 3.2e-4}}) {
    CAPTURE(row_of(row.type).name);
    const double error = mean_square_error(row.type, values);
    MESSAGE(row_of(row.type).name << " mean square error " << error);
    CHECK(error <= row.mean_square_error);
    CHECK(error > 0);
  }
}

TEST_CASE("the same values give the same bytes on every machine") {
  struct golden {
    tensor_type type;
    std::uint64_t hash;
  };
  const std::vector<float> values = bell(64 * 256, 7);
  for (const golden& row : {golden{tensor_type::q8_0, 18161781215808828017ULL},
                            golden{tensor_type::q4_0, 13191020393634924524ULL},
                            golden{tensor_type::q4_k, 18187159207447264564ULL},
                            golden{tensor_type::q5_k, 12032268465662401431ULL},
                            golden{tensor_type::q6_k, 6003537324678755237ULL}}) {
    CAPTURE(row_of(row.type).name);
    CHECK(fingerprint(encoded(row.type, values)) == row.hash);
  }
}

TEST_CASE("an empty row is a row") {
  for (const tensor_type type : all_types) CHECK(encode_row(type, {}, {}).ok());
}
