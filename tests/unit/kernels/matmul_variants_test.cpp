// Every variant of the matrix product gives the reference's bits, for every type and any shape; and
// the reference gives what decoded weights and plain arithmetic give.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul.hpp"

namespace {

using namespace troupe::kernels;

constexpr float guard = -12345.5f;

enum class content { plain, raw_bytes, tiny_scales };

// Rows of weights: random values encoded, or random bytes (every field of a block takes any value,
// with finite scales).
std::vector<std::byte> make_weights(tensor_type type, std::uint64_t n, std::uint64_t k,
                                    content kind, std::mt19937& random) {
  const tensor_type_row& row = row_of(type);
  const std::uint64_t blocks = n * (k / row.elements);
  std::vector<std::byte> bytes(blocks * row.bytes);
  std::normal_distribution<float> normal;
  if (kind == content::plain) {
    std::vector<float> values(k);
    for (std::uint64_t i = 0; i < n; ++i) {
      for (float& v : values) v = normal(random);
      REQUIRE(
          encode_row(type, values, std::span(bytes).subspan(i * bytes.size() / n, bytes.size() / n))
              .ok());
    }
    return bytes;
  }
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const auto put_half = [&](std::uint64_t at) {
    const float value =
        kind == content::tiny_scales ? 6e-8f * static_cast<float>(random() % 4) : normal(random);
    const std::uint16_t half = float_to_half(value);
    std::memcpy(bytes.data() + at, &half, 2);
  };
  for (std::uint64_t b = 0; b < blocks; ++b) {
    const std::uint64_t at = b * row.bytes;
    if (type == tensor_type::f32) {
      const float value = kind == content::tiny_scales ? normal(random) * 1e-39f : normal(random);
      std::memcpy(bytes.data() + at, &value, 4);
    } else if (type == tensor_type::bf16) {
      const std::uint16_t bits =
          float_to_bfloat(normal(random) * (kind == content::tiny_scales ? 1e-39f : 1.0f));
      std::memcpy(bytes.data() + at, &bits, 2);
    } else {
      put_half(type == tensor_type::q6_k ? at + 208 : at);
      if (type == tensor_type::q4_k || type == tensor_type::q5_k) put_half(at + 2);
    }
  }
  return bytes;
}

std::vector<float> make_x(std::uint64_t m, std::uint64_t k, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(m * k);
  for (float& v : x) v = normal(random);
  for (std::uint64_t i = 0; i < m; ++i) {
    float* row = x.data() + i * k;
    if (i % 7 == 1) std::fill(row, row + k, 0.0f);
    if (i % 7 == 2) std::fill(row, row + k / 2, -0.0f);
    if (i % 7 == 3)
      for (std::uint64_t j = 0; j < k; ++j) row[j] *= 1e-38f;
    if (i % 7 == 4)
      for (std::uint64_t j = 0; j < k; ++j) row[j] = j % 3 == 0 ? 1.0f : -1.0f;
    if (i % 7 == 5) row[k / 3] = 3e30f;
    if (i % 7 == 6)
      for (std::uint64_t j = 0; j < k; ++j)
        row[j] = std::ldexp(row[j], static_cast<int>(j % 60) - 30);
  }
  return x;
}

// y for all m rows, computed in ranges of `step` output rows, with guards in every gap.
std::vector<float> multiply(const matmul_backend& backend, tensor_type type, std::uint64_t n,
                            std::uint64_t k, std::span<const std::byte> weights,
                            std::span<const float> x, std::uint64_t m, std::uint64_t step) {
  const auto packed = backend.make(type, n, k, weights);
  for (std::uint64_t i = 0; i < n; i += 16) backend.pack_rows(*packed, i, std::min(n, i + 16));
  activations prepared;
  prepared.reserve(type, k, m);
  backend.prepare(type, k, x, m / 2, m, prepared);
  backend.prepare(type, k, x, 0, m / 2, prepared);
  const std::uint64_t stride = n + 5;
  std::vector<float> y(3 + m * stride, guard);
  for (std::uint64_t begin = 0; begin < n; begin += step)
    backend.multiply(*packed, prepared, m, begin, std::min(n, begin + step), y.data() + 3, stride);
  return y;
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

std::uint64_t differences(const std::vector<float>& a, const std::vector<float>& b) {
  std::uint64_t count = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) count += same(a[i], b[i]) ? 0 : 1;
  return count;
}

void compare_all(tensor_type type, std::uint64_t n, std::uint64_t k, std::uint64_t m, content kind,
                 std::uint64_t step, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto weights = make_weights(type, n, k, kind, random);
  const auto x = make_x(m, k, random);
  const matmul_backend* reference = find_matmul_backend("reference");
  REQUIRE(reference != nullptr);
  const auto expected = multiply(*reference, type, n, k, weights, x, m, n);
  for (const std::string_view name : matmul_variants()) {
    CAPTURE(std::string(name));
    CAPTURE(std::string(row_of(type).name));
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(m);
    const auto got = multiply(*find_matmul_backend(name), type, n, k, weights, x, m, step);
    CHECK(differences(got, expected) == 0);
  }
}

}  // namespace

TEST_CASE("matmul: every variant gives the reference's bits for every type and row count") {
  for (const tensor_type_row& row : tensor_type_table)
    for (std::uint64_t m = 1; m <= 40; ++m)
      compare_all(row.type, 16 + m % 23, 256 + 256 * (m % 2), m, content::plain, 16,
                  static_cast<std::uint32_t>(m));
}

TEST_CASE("matmul: every variant gives the reference's bits for any bytes in the weights") {
  for (const tensor_type_row& row : tensor_type_table)
    for (const content kind : {content::raw_bytes, content::tiny_scales})
      for (const std::uint64_t m : {1, 3, 8, 33})
        compare_all(row.type, 35, 768, m, kind, 32, static_cast<std::uint32_t>(m));
}

TEST_CASE("matmul: float rows of any length, quantized rows of an odd number of blocks") {
  for (const tensor_type type : {tensor_type::f32, tensor_type::f16, tensor_type::bf16})
    for (const std::uint64_t k : {1, 15, 16, 17, 100, 511, 513, 1030})
      for (const std::uint64_t m : {1, 2, 3, 5, 13})
        compare_all(type, 19, k, m, content::plain, 16, 7);
  for (const tensor_type type : {tensor_type::q8_0, tensor_type::q4_0})
    for (const std::uint64_t k : {32, 96, 352})
      for (const std::uint64_t m : {1, 17, 50}) compare_all(type, 1, k, m, content::plain, 16, 9);
}

TEST_CASE("matmul: long rows, and more output rows than are in flight at once") {
  for (const tensor_type_row& row : tensor_type_table)
    for (const std::uint64_t m : {1, 2, 7, 33})
      compare_all(row.type, 91, 2304, m, content::plain, 80, 13);
}

TEST_CASE("matmul: more rows of x than any variant takes at once") {
  for (const tensor_type_row& row : tensor_type_table)
    compare_all(row.type, 16, 256, 530, content::plain, 16, 17);
}

TEST_CASE("matmul: weights of several megabytes") {
  compare_all(tensor_type::q8_0, 2300, 1024, 2, content::raw_bytes, 1024, 19);
  compare_all(tensor_type::q6_k, 2900, 1024, 2, content::raw_bytes, 1024, 19);
}

TEST_CASE("matmul: the largest values stay exact") {
  for (const tensor_type_row& row : tensor_type_table) {
    if (activation_kind_of(row.type) == activation_kind::floats) continue;
    const std::uint64_t k = 512, n = 17, m = 20;
    std::vector<std::byte> weights(n * (k / row.elements) * row.bytes);
    for (const unsigned fill : {0xffu, 0x80u, 0x7fu, 0x00u}) {
      std::memset(weights.data(), static_cast<int>(fill), weights.size());
      const std::uint16_t one = float_to_half(1.0f);
      for (std::uint64_t b = 0; b < weights.size() / row.bytes; ++b) {
        std::byte* at = weights.data() + b * row.bytes;
        std::memcpy(row.type == tensor_type::q6_k ? at + 208 : at, &one, 2);
        if (row.type == tensor_type::q4_k || row.type == tensor_type::q5_k)
          std::memcpy(at + 2, &one, 2);
      }
      std::vector<float> x(m * k, 127.0f);
      for (std::uint64_t i = 0; i < x.size(); ++i)
        x[i] = i / k % 3 == 0 ? 127.0f : i / k % 3 == 1 ? -127.0f : i % 2 ? 127.0f : -127.0f;
      const auto expected =
          multiply(*find_matmul_backend("reference"), row.type, n, k, weights, x, m, n);
      for (const std::string_view name : matmul_variants()) {
        CAPTURE(std::string(name));
        CAPTURE(std::string(row.name));
        CHECK(differences(multiply(*find_matmul_backend(name), row.type, n, k, weights, x, m, n),
                          expected) == 0);
      }
    }
  }
}

TEST_CASE(
    "matmul: a row with a NaN or an infinity gives NaN or infinity there and touches no other "
    "row") {
  for (const tensor_type_row& row : tensor_type_table) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      std::mt19937 random(5);
      const std::uint64_t n = 20, k = 512, m = 19;
      const auto weights = make_weights(row.type, n, k, content::plain, random);
      auto x = make_x(m, k, random);
      x[4 * k + 300] = bad;
      const auto expected =
          multiply(*find_matmul_backend("reference"), row.type, n, k, weights, x, m, n);
      for (std::uint64_t i = 0; i < n; ++i) {
        CHECK(!std::isfinite(expected[3 + 4 * (n + 5) + i]));
        CHECK(!std::isnan(expected[3 + 3 * (n + 5) + i]));
      }
      for (const std::string_view name : matmul_variants())
        CHECK(differences(multiply(*find_matmul_backend(name), row.type, n, k, weights, x, m, n),
                          expected) == 0);
    }
  }
}

TEST_CASE("matmul: the reference agrees with decoded weights and double arithmetic") {
  for (const tensor_type_row& row : tensor_type_table) {
    CAPTURE(std::string(row.name));
    std::mt19937 random(11);
    const std::uint64_t n = 33, k = 1024, m = 3;
    const auto weights = make_weights(row.type, n, k, content::plain, random);
    std::normal_distribution<float> normal;
    std::vector<float> x(m * k), wide(k);
    for (float& v : x) v = normal(random);
    const auto y = multiply(*find_matmul_backend("reference"), row.type, n, k, weights, x, m, n);
    const bool quantized = activation_kind_of(row.type) != activation_kind::floats;
    double worst = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      decode_row(row.type, std::span(weights).subspan(i * weights.size() / n, weights.size() / n),
                 wide);
      for (std::uint64_t j = 0; j < m; ++j) {
        double exact = 0, size = 0;
        for (std::uint64_t l = 0; l < k; ++l) {
          exact += static_cast<double>(wide[l]) * x[j * k + l];
          size += std::pow(static_cast<double>(wide[l]) * x[j * k + l], 2);
        }
        worst = std::max(worst, std::fabs(y[3 + j * (n + 5) + i] - exact) / std::sqrt(size));
      }
    }
    CHECK(worst <= (quantized ? 0.04 : 1e-6));
    CHECK(std::isfinite(worst));
  }
}

TEST_CASE("matmul: a row's bits do not depend on the rows beside it") {
  for (const std::string_view name : matmul_variants())
    for (const tensor_type_row& row : tensor_type_table) {
      CAPTURE(std::string(name));
      CAPTURE(std::string(row.name));
      std::mt19937 random(3);
      const std::uint64_t n = 40, k = 512, m = 70;
      const matmul_backend& backend = *find_matmul_backend(name);
      const auto weights = make_weights(row.type, n, k, content::plain, random);
      const auto x = make_x(m, k, random);
      const auto all = multiply(backend, row.type, n, k, weights, x, m, 16);
      for (const std::uint64_t i : {0, 5, 31, 32, 63, 69}) {
        const auto alone =
            multiply(backend, row.type, n, k, weights, std::span(x).subspan(i * k, k), 1, n);
        std::uint64_t wrong = 0;
        for (std::uint64_t j = 0; j < n; ++j)
          wrong += same(alone[3 + j], all[3 + i * (n + 5) + j]) ? 0 : 1;
        CHECK(wrong == 0);
      }
    }
}

TEST_CASE("matmul: variants are listed best first and can be had by name") {
  const auto names = matmul_variants();
  REQUIRE(names.size() >= 2);
  CHECK(names[names.size() - 1] == "reference");
  CHECK(names[names.size() - 2] == "portable");
  for (const std::string_view name : names) {
    REQUIRE(find_matmul_backend(name) != nullptr);
    CHECK(find_matmul_backend(name)->name == name);
  }
  CHECK(find_matmul_backend("")->name == names[0]);
  CHECK(find_matmul_backend("no such variant") == nullptr);
}
