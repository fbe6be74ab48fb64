// Every variant of every row operation gives the reference's bits.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/ops/row_ops.hpp"
#include "kernels/sampler/philox.hpp"

using namespace troupe::kernels;

namespace {

std::vector<const row_ops*> fast_variants() {
  std::vector<const row_ops*> all;
  for (const char* name : {"portable", "avx2", "avx512"})
    if (const row_ops* ops = find_row_ops(name)) all.push_back(ops);
  return all;
}

std::vector<float> numbers(std::size_t n, std::uint64_t seed, float size) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = static_cast<float>(uniform_draw(seed, static_cast<std::uint32_t>(i)) * 2 - 1) * size;
  return x;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const elementwise_ops& slow() {
  return find_row_ops("reference")->elementwise;
}

}  // namespace

TEST_CASE("rms_norm, add and silu_multiply: every variant equals the reference bit for bit") {
  CHECK(rc::check("any length and size", [] {
    const auto n = *rc::gen::inRange<std::size_t>(1, 200);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const float size = *rc::gen::element(1e-20f, 0.01f, 1.0f, 50.0f, 1e4f);
    const std::vector<float> x = numbers(n, seed, size), y = numbers(n, seed + 1, size);
    std::vector<float> normed(n), sum = x, silu = x;
    slow().rms_norm(x.data(), y.data(), n, 1e-5f, normed.data());
    slow().add(sum.data(), y.data(), n);
    slow().silu_multiply(silu.data(), y.data(), n);
    for (const row_ops* ops : fast_variants()) {
      std::vector<float> a(n), b = x, c = x;
      ops->elementwise.rms_norm(x.data(), y.data(), n, 1e-5f, a.data());
      ops->elementwise.add(b.data(), y.data(), n);
      ops->elementwise.silu_multiply(c.data(), y.data(), n);
      RC_ASSERT(same_bits(a, normed));
      RC_ASSERT(same_bits(b, sum));
      RC_ASSERT(same_bits(c, silu));
    }
  }));
}

TEST_CASE("rotate, largest and exponentials: every variant equals the reference bit for bit") {
  CHECK(rc::check("any even dimension, any length", [] {
    const auto dimension = 2 * *rc::gen::inRange<std::size_t>(1, 70);
    const auto heads = *rc::gen::inRange<std::size_t>(1, 4);
    const auto n = *rc::gen::inRange<std::size_t>(1, 3000);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const std::vector<float> cosines = numbers(dimension, seed, 1),
                             sines = numbers(dimension, seed + 1, 1);
    std::vector<float> turned = numbers(heads * dimension, seed + 2, 3);
    const std::vector<float> x = numbers(n, seed + 3, *rc::gen::element(0.1f, 10.0f, 200.0f));
    const std::vector<float> before = turned;
    slow().rotate(turned.data(), heads, dimension, cosines.data(), sines.data());
    const float largest = slow().largest(x.data(), n);
    std::vector<float> weights(n);
    const double sum = slow().exponentials(x.data(), n, largest, 0.7f, weights.data());
    for (const row_ops* ops : fast_variants()) {
      std::vector<float> again = before, e(n);
      ops->elementwise.rotate(again.data(), heads, dimension, cosines.data(), sines.data());
      RC_ASSERT(same_bits(again, turned));
      RC_ASSERT(ops->elementwise.largest(x.data(), n) == largest);
      RC_ASSERT(ops->elementwise.exponentials(x.data(), n, largest, 0.7f, e.data()) == sum);
      RC_ASSERT(same_bits(e, weights));
      RC_ASSERT(ops->elementwise.exponentials(x.data(), n, largest, 0.7f, nullptr) == sum);
    }
  }));
}

namespace {

// A store with `blocks` blocks whose unwritten slots hold the worst bits there are: float16 NaN.
struct paged {
  paged(kv_type type, std::uint32_t heads, std::uint32_t dimension, std::uint32_t blocks)
      : bytes(kv_head_bytes(type, dimension) * heads * blocks, 0x7e),
        layer{.bytes = bytes.data(),
              .block_bytes = kv_head_bytes(type, dimension) * heads,
              .heads = heads,
              .dimension = dimension} {}
  paged(const paged&) = delete;
  std::vector<std::uint8_t> bytes;
  kv_layer layer;
};

struct attention_case {
  kv_type type;
  std::uint32_t heads_kv, group, dimension, position, tokens;
  std::vector<std::uint32_t> blocks;
  std::vector<float> queries, keys, values;

  std::uint64_t stride() const { return std::uint64_t{heads_kv} * group * dimension; }

  std::vector<float> run(const row_ops& ops, std::uint32_t rows_at_once) const {
    paged store(type, heads_kv, dimension, static_cast<std::uint32_t>(blocks.size()));
    const attention_ops& attention = ops.attention_of(type);
    for (std::uint32_t t = 0; t < position + tokens; ++t)
      attention.store(store.layer, blocks[t / 16], t % 16, &keys[t * heads_kv * dimension],
                      &values[t * heads_kv * dimension]);
    std::vector<float> out(tokens * stride()), scratch(attention_scratch(dimension));
    for (std::uint32_t head = 0; head < heads_kv; ++head)
      for (std::uint32_t row = 0; row < tokens * group; row += rows_at_once)
        attention.attend({.store = store.layer,
                          .blocks = blocks.data(),
                          .first_position = position,
                          .kv_head = head,
                          .group = group,
                          .row_begin = row,
                          .row_end = std::min(tokens * group, row + rows_at_once),
                          .queries = queries.data(),
                          .query_stride = stride(),
                          .out = out.data(),
                          .out_stride = stride(),
                          .scale = 0.25f,
                          .scratch = scratch.data()});
    return out;
  }
};

attention_case any_attention() {
  attention_case c;
  c.type = *rc::gen::element(kv_type::f16, kv_type::q8_0);
  c.heads_kv = *rc::gen::inRange(1u, 3u);
  c.group = *rc::gen::inRange(1u, 6u);
  c.dimension = 2 * *rc::gen::inRange(1u, 50u);
  c.position = *rc::gen::element(0u, 0u, 1u, 15u, 16u, 250u, 255u, 256u, 300u, 511u);
  c.tokens = *rc::gen::inRange(1u, 24u);
  c.blocks.resize((c.position + c.tokens + 15) / 16);
  std::iota(c.blocks.rbegin(), c.blocks.rend(), 0u);  // any order but the natural one
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  c.queries = numbers(c.tokens * c.stride(), seed, 3);
  c.keys = numbers((c.position + c.tokens) * c.heads_kv * c.dimension, seed + 1, 3);
  c.values = numbers((c.position + c.tokens) * c.heads_kv * c.dimension, seed + 2, 2);
  return c;
}

}  // namespace

TEST_CASE(
    "attention: every variant and every tile equals the reference bit for bit, whatever lies past "
    "the rows") {
  CHECK(rc::check("any shape", [] {
    const attention_case c = any_attention();
    const std::vector<float> expected = c.run(*find_row_ops("reference"), 1);
    for (const float value : expected) RC_ASSERT(value == value);
    for (const row_ops* ops : fast_variants()) {
      RC_ASSERT(same_bits(c.run(*ops, attention_rows_max), expected));
      RC_ASSERT(same_bits(c.run(*ops, *rc::gen::inRange(1u, attention_rows_max)), expected));
    }
  }));
}

TEST_CASE("attention: every variant stores the reference's bytes, of any numbers") {
  CHECK(rc::check("any numbers, beside ones that are not finite", [] {
    const auto type = *rc::gen::element(kv_type::f16, kv_type::q8_0);
    const auto heads = *rc::gen::inRange(1u, 3u), dimension = *rc::gen::inRange(1u, 100u);
    const auto slot = *rc::gen::inRange(0u, 16u);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const float size = *rc::gen::element(0.0f, 1e-42f, 1e-7f, 1e-3f, 1.0f, 300.0f, 1e6f, 1e30f);
    const std::vector<float> keys = numbers(heads * dimension, seed, size);
    std::vector<float> values = numbers(heads * dimension, seed + 1, size);
    const float odd = *rc::gen::element(0.0f, -0.0f, __builtin_inff(), -__builtin_inff());
    values[*rc::gen::inRange<std::size_t>(0, values.size())] = odd;
    const auto stored = [&](const row_ops& ops) {
      paged store(type, heads, dimension, 1);
      ops.attention_of(type).store(store.layer, 0, slot, keys.data(), values.data());
      return store.bytes;
    };
    const std::vector<std::uint8_t> expected = stored(*find_row_ops("reference"));
    for (const row_ops* ops : fast_variants()) RC_ASSERT(stored(*ops) == expected);
  }));
}
