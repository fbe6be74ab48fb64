#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "kernels/gguf/row_codec.hpp"
#include "tests/unit/kernels/gguf_sample.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

// Reads all that a file offers, so that a view outside its bytes is seen.
std::size_t touch(const gguf_file& file) {
  std::size_t sum = 0;
  for (const auto& [key, value] : file.metadata()) {
    sum += std::hash<std::string_view>()(key);
    if (const auto* text = std::get_if<std::string_view>(&value))
      sum += std::hash<std::string_view>()(*text);
    if (const auto* words = std::get_if<std::vector<std::string_view>>(&value))
      for (const std::string_view word : *words) sum += std::hash<std::string_view>()(word);
  }
  for (const tensor_view& tensor : file.tensors())
    for (const std::byte b : tensor.bytes) sum += std::to_integer<std::size_t>(b);
  return sum;
}

constexpr tensor_type quantized[] = {tensor_type::q8_0, tensor_type::q4_0, tensor_type::q4_k,
                                     tensor_type::q5_k, tensor_type::q6_k};

// Steps between neighbouring values of a group, at least, over its range.
int levels(tensor_type type) {
  switch (type) {
    case tensor_type::q8_0:
      return 254;
    case tensor_type::q6_k:
      return 62;
    case tensor_type::q5_k:
      return 31;
    default:
      return 15;
  }
}

std::vector<float> decoded(tensor_type type, const std::vector<std::byte>& bytes,
                           std::size_t count) {
  std::vector<float> out(count);
  decode_row(type, bytes, out);
  return out;
}

rc::Gen<std::vector<float>> row_of_values() {
  return rc::gen::exec([] {
    const int scale = *rc::gen::inRange(-8, 10);
    const auto whole = *rc::gen::container<std::vector<int>>(512, rc::gen::inRange(-10000, 10001));
    std::vector<float> values;
    for (const int value : whole)
      values.push_back(std::ldexp(static_cast<float>(value) / 10000.0F, scale));
    return values;
  });
}

}  // namespace

TEST_CASE("bytes turned at random are read or refused, never worse") {
  const auto original = sample::small_file();
  REQUIRE(gguf_file::parse(original).ok());
  CHECK(rc::check("flipped bytes", [&] {
    auto bytes = original;
    const auto flips = *rc::gen::inRange(1, 9);
    for (int i = 0; i < flips; ++i) {
      const auto where = *rc::gen::inRange<std::size_t>(0, bytes.size());
      bytes[where] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
    }
    if (const auto parsed = gguf_file::parse(bytes); parsed.ok()) {
      touch(**parsed);
    } else {
      RC_ASSERT(!parsed.failure().message.empty());
    }
  }));
}

TEST_CASE("every single byte, set to its extremes, is read or refused") {
  const auto original = sample::small_file();
  for (std::size_t where = 0; where < original.size(); ++where) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      auto bytes = original;
      bytes[where] = static_cast<std::byte>(value);
      if (const auto parsed = gguf_file::parse(bytes); parsed.ok()) touch(**parsed);
    }
  }
}

TEST_CASE("a quantized value lies within a step of its group's range of the original") {
  CHECK(rc::check("error bound", [] {
    const auto values = *row_of_values();
    const tensor_type type =
        *rc::gen::elementOf(std::vector<tensor_type>(std::begin(quantized), std::end(quantized)));
    std::vector<std::byte> bytes(values.size() / row_of(type).elements * row_of(type).bytes);
    RC_ASSERT(encode_row(type, values, bytes).ok());
    const auto back = decoded(type, bytes, values.size());
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::fabs(value));
    // Scales are rounded too (q4_k: six bits over a block of 256; subnormal halves where all is
    // small).
    const float bound = 2 * largest * (1.5F / static_cast<float>(levels(type))) + 0x1p-16F;
    for (std::size_t i = 0; i < values.size(); ++i)
      RC_ASSERT(std::fabs(values[i] - back[i]) <= bound);
  }));
}

TEST_CASE("coding what was decoded loses no more than a further step") {
  CHECK(rc::check("second coding", [] {
    const auto values = *row_of_values();
    for (const tensor_type type : {tensor_type::f16, tensor_type::bf16, tensor_type::f32}) {
      std::vector<std::byte> once(values.size() * row_of(type).bytes), twice(once.size());
      RC_ASSERT(encode_row(type, values, once).ok());
      RC_ASSERT(encode_row(type, decoded(type, once, values.size()), twice).ok());
      RC_ASSERT(once == twice);
    }
  }));
}

TEST_CASE("a block's bytes do not depend on the blocks beside it") {
  CHECK(rc::check("rows are blocks", [] {
    const auto values = *row_of_values();
    for (const tensor_type type : quantized) {
      const tensor_type_row& row = row_of(type);
      std::vector<std::byte> whole(values.size() / row.elements * row.bytes), single(row.bytes);
      RC_ASSERT(encode_row(type, values, whole).ok());
      const std::size_t block = *rc::gen::inRange<std::size_t>(0, values.size() / row.elements);
      RC_ASSERT(
          encode_row(type, std::span(values).subspan(block * row.elements, row.elements), single)
              .ok());
      RC_ASSERT(std::equal(single.begin(), single.end(),
                           whole.begin() + static_cast<std::ptrdiff_t>(block * row.bytes)));
    }
  }));
}
