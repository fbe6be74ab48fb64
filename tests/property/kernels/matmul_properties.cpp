// Random shapes, contents and splits: the bits of the matrix product depend on a row of x and a row
// of weights alone.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul.hpp"

namespace {

using namespace troupe::kernels;

struct product_case {
  tensor_type type;
  std::uint64_t n, k, m;
  std::uint32_t seed;
};

product_case pick_case() {
  constexpr std::size_t types = std::size(tensor_type_table);
  const tensor_type_row& row = tensor_type_table[*rc::gen::inRange<std::size_t>(0, types)];
  product_case c{row.type, 0, 0, 0, *rc::gen::inRange<std::uint32_t>(0, 1u << 30)};
  c.n = *rc::gen::inRange<std::uint64_t>(1, 70);
  c.m = *rc::gen::inRange<std::uint64_t>(1, 60);
  const std::uint64_t blocks = *rc::gen::inRange<std::uint64_t>(1, row.elements == 256 ? 4 : 40);
  c.k = row.elements * blocks;
  return c;
}

struct product_content {
  std::vector<std::byte> weights;
  std::vector<float> x;
};

product_content fill(const product_case& c) {
  std::mt19937 random(c.seed);
  std::normal_distribution<float> normal;
  product_content out;
  const tensor_type_row& row = row_of(c.type);
  const std::uint64_t stride = c.k / row.elements * row.bytes;
  out.weights.resize(c.n * stride);
  std::vector<float> values(c.k);
  for (std::uint64_t i = 0; i < c.n; ++i) {
    for (float& v : values) v = normal(random);
    RC_ASSERT(encode_row(c.type, values, std::span(out.weights).subspan(i * stride, stride)).ok());
  }
  out.x.resize(c.m * c.k);
  for (float& v : out.x) v = normal(random);
  return out;
}

// Output rows in the given ranges, rows of x prepared in two parts.
std::vector<float> compute(const matmul_backend& backend, const product_case& c,
                           std::span<const std::byte> weights, std::span<const float> x,
                           std::uint64_t m, std::uint64_t step) {
  const auto packed = backend.make(c.type, c.n, c.k, weights);
  for (std::uint64_t i = 0; i < c.n; i += step)
    backend.pack_rows(*packed, i, std::min(c.n, i + step));
  activations prepared;
  prepared.reserve(c.type, c.k, m);
  backend.prepare(c.type, c.k, x, 0, m / 3, prepared);
  backend.prepare(c.type, c.k, x, m / 3, m, prepared);
  std::vector<float> y(m * c.n);
  for (std::uint64_t i = 0; i < c.n; i += step)
    backend.multiply(*packed, prepared, m, i, std::min(c.n, i + step), y.data(), c.n);
  return y;
}

}  // namespace

TEST_CASE("matmul: variants, ranges and batches never change a bit") {
  CHECK(rc::check("every variant equals the reference", [] {
    const product_case c = pick_case();
    const product_content content = fill(c);
    const auto expected =
        compute(*find_matmul_backend("reference"), c, content.weights, content.x, c.m, 1024);
    const std::uint64_t step = 16 * *rc::gen::inRange<std::uint64_t>(1, 6);
    for (const std::string_view name : matmul_variants()) {
      const auto got =
          compute(*find_matmul_backend(name), c, content.weights, content.x, c.m, step);
      RC_ASSERT(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0);
    }
  }));
  CHECK(rc::check("a slice of the batch gives the same rows", [] {
    const product_case c = pick_case();
    const product_content content = fill(c);
    const std::uint64_t from = *rc::gen::inRange<std::uint64_t>(0, c.m);
    const std::uint64_t count = *rc::gen::inRange<std::uint64_t>(1, c.m - from + 1);
    const matmul_backend& best = *find_matmul_backend("");
    const auto all = compute(best, c, content.weights, content.x, c.m, 1024);
    const auto part = compute(best, c, content.weights,
                              std::span(content.x).subspan(from * c.k, count * c.k), count, 16);
    RC_ASSERT(std::memcmp(part.data(), all.data() + from * c.n, part.size() * sizeof(float)) == 0);
  }));
}
