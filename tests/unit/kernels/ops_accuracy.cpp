// The fixed-order operations against the C library in double: near enough, and exact where the
// contract says so.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ops/exact_math.hpp"
#include "kernels/ops/lane_sum.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/ops/row_ops.hpp"

using namespace troupe::kernels;

TEST_CASE("exp stays within two units in the last place and is exact at 0") {
  CHECK(reference_exp(0.0f) == 1.0f);
  CHECK(reference_exp(-0.0f) == 1.0f);
  CHECK(reference_exp(-87.5f) == 0.0f);
  CHECK(reference_exp(-std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(reference_exp(200.0f) == reference_exp(88.0f));
  CHECK(std::isnan(reference_exp(std::numeric_limits<float>::quiet_NaN())));
  double worst = 0;
  for (float x = -87.0f; x <= 88.0f; x += 0.00173f) {
    const double exact = std::exp(double{x});
    worst = std::max(worst, std::fabs(reference_exp(x) - exact) / exact);
  }
  CHECK(worst < 2 * 5.97e-8);
}

TEST_CASE("the lanes are added by halves") {
  float lanes[16];
  for (int i = 0; i < 16; ++i)
    lanes[i] = std::ldexp(1.0f, i % 8 == 0 ? 24 : 0) * (i < 8 ? 1.0f : -1.0f);
  CHECK(tree_sum(lanes) == 0.0f);  // a left-to-right sum would lose the ones
  lanes[3] = 2.0f;
  CHECK(tree_sum(lanes) == 1.0f);
}

TEST_CASE("exp, log, sine and cosine in double agree with the C library") {
  for (double x = -699.7; x < 700; x += 0.37)
    CHECK(exact_exp(x) == doctest::Approx(std::exp(x)).epsilon(2e-15));
  for (double x = 1e-300; x < 1e300; x *= 3.7) {
    const double exact = std::log(x);
    CHECK(std::fabs(exact_log(x) - exact) <= 1e-15 * (1 + std::fabs(exact)));
  }
  CHECK(exact_log(1.0) == 0.0);
  CHECK(std::isnan(exact_log(0.0)));
  CHECK(std::isnan(exact_log(-1.0)));
  for (double x = -1.5e6; x < 1.5e6; x += 977.13) {
    const sine_cosine turn = exact_sine_cosine(x);
    CHECK(std::fabs(turn.sine - std::sin(x)) < 1e-15);
    CHECK(std::fabs(turn.cosine - std::cos(x)) < 1e-15);
  }
  for (double x = -4; x < 4; x += 0.0137)
    CHECK(std::fabs(exact_sine_cosine(x).sine - std::sin(x)) < 1e-15);
  CHECK(std::isnan(exact_sine_cosine(1e9).sine));
}

TEST_CASE("rope tables hold the angle of every pair, with factors and linear scaling") {
  const std::vector<float> factors{1.0f, 2.0f, 4.0f, 8.0f};
  const rope_angles angles(8, 10000.0, 2.0, factors);
  float cosines[8], sines[8];
  angles.fill(1000, cosines, sines);
  for (int i = 0; i < 4; ++i) {
    const double angle = 1000 / 2.0 * std::pow(10000.0, -2.0 * i / 8) / factors[i];
    CHECK(cosines[2 * i] == doctest::Approx(std::cos(angle)).epsilon(1e-6));
    CHECK(cosines[2 * i + 1] == cosines[2 * i]);
    CHECK(sines[2 * i + 1] == doctest::Approx(std::sin(angle)).epsilon(1e-6));
    CHECK(sines[2 * i] == -sines[2 * i + 1]);
  }
}

TEST_CASE("attention is a softmax over the positions up to the row's own") {
  constexpr std::uint32_t dimension = 20, positions = 600;
  const row_ops& ops = *find_row_ops("reference");
  constexpr std::uint64_t block_bytes = kv_head_bytes(kv_type::f16, dimension);
  std::vector<std::uint8_t> memory(block_bytes * ((positions + 15) / 16));
  const kv_layer layer{
      .bytes = memory.data(), .block_bytes = block_bytes, .heads = 1, .dimension = dimension};
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t b = 0; b * 16 < positions; ++b) blocks.push_back(b);
  std::vector<std::vector<float>> keys, values;
  for (std::uint32_t t = 0; t < positions; ++t) {
    std::vector<float> k(dimension), v(dimension);
    for (std::uint32_t d = 0; d < dimension; ++d) {
      k[d] = static_cast<float>(static_cast<int>((t * 7 + d * 13) % 33) - 16) /
             16;  // exact in float16
      v[d] = static_cast<float>(static_cast<int>((t * 5 + d * 3) % 65) - 32) / 32;
    }
    ops.attention.store(layer, t / 16, t % 16, k.data(), v.data());
    keys.push_back(k);
    values.push_back(v);
  }
  std::vector<float> query(dimension, 0.75f), out(dimension), scratch(attention_scratch(dimension));
  for (const std::uint32_t position : {0u, 15u, 255u, 256u, 599u}) {
    ops.attention.attend({.store = layer,
                          .blocks = blocks.data(),
                          .first_position = position,
                          .kv_head = 0,
                          .group = 1,
                          .row_begin = 0,
                          .row_end = 1,
                          .queries = query.data(),
                          .query_stride = dimension,
                          .out = out.data(),
                          .out_stride = dimension,
                          .scale = 0.5f,
                          .scratch = scratch.data()});
    std::vector<double> sums(dimension);
    double total = 0;
    for (std::uint32_t t = 0; t <= position; ++t) {
      double score = 0;
      for (std::uint32_t d = 0; d < dimension; ++d) score += 0.375 * keys[t][d];
      total += std::exp(score);
      for (std::uint32_t d = 0; d < dimension; ++d) sums[d] += std::exp(score) * values[t][d];
    }
    for (std::uint32_t d = 0; d < dimension; ++d)
      CHECK(out[d] == doctest::Approx(sums[d] / total).epsilon(1e-5));
  }
}
