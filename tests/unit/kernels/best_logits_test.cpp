// The best of a row, and a sampler that sees no more of it: the same draw, bit for bit.
#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/ops/row_ops.hpp"
#include "kernels/sampler/sampler.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

const elementwise_ops& ops() {
  return best_row_ops().elementwise;
}

std::vector<std::int32_t> ids_of(const best_logits& best) {
  std::vector<std::int32_t> ids;
  for (const token_logit& one : best.tokens) ids.push_back(one.id);
  return ids;
}

bool same(const sampled_token& a, const sampled_token& b) {
  return a.id == b.id && std::bit_cast<std::uint32_t>(a.log_probability) ==
                             std::bit_cast<std::uint32_t>(b.log_probability);
}

// Coarse, so that there are ties.
std::vector<float> row_of(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal{0, 3};
  std::vector<float> row(size);
  for (float& logit : row) logit = std::round(normal(random) * 8) / 8;
  return row;
}

}  // namespace

TEST_CASE("the best of a row: larger first, the lower id at a tie, 0 and -0 a tie") {
  const std::vector<float> row{1, 4, -0.0f, 4, 0.0f, -7, 2};
  CHECK(ids_of(best_of(row, 1, ops())) == std::vector{1});
  CHECK(ids_of(best_of(row, 5, ops())) == std::vector{1, 3, 6, 0, 2});
  CHECK(ids_of(best_of(row, 64, ops())) == std::vector{1, 3, 6, 0, 2, 4, 5});
  CHECK(std::signbit(best_of(row, 5, ops()).tokens[4].logit));
  const best_logits best = best_of(row, 2, ops());
  CHECK(best.exponential_sum == ops().exponentials(row.data(), row.size(), 4.0f, 1.0f, nullptr));
}

TEST_CASE("the best of a row that is not finite is its first such number") {
  for (const float bad : {no_number, infinity, -infinity}) {
    const std::vector<float> row{1, 4, bad, 9, bad};
    for (const std::uint32_t count : {1u, 4u}) {
      const best_logits best = best_of(row, count, ops());
      CHECK(ids_of(best) == std::vector{2});
      CHECK(best.exponential_sum == 0);
      CHECK(sample(best, {}, 3).failure().text() ==
            sample(row, {}, {}, std::vector{1, 1, 1}, 3).failure().text());
    }
  }
}

TEST_CASE("a draw from the best is the draw from the row wherever the row is not needed") {
  std::uint32_t compared = 0;
  for (const std::size_t size : {2u, 63u, 65u, 1000u, 3000u})
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
      const std::vector<float> row = row_of(size, seed);
      for (sampling_parameters p : {sampling_parameters{},
                                    {.temperature = 0.8f, .top_k = 1},
                                    {.temperature = 2, .top_k = 40},
                                    {.temperature = 1.3f, .top_k = 64, .top_p = 0.7f},
                                    {.temperature = 3, .top_k = 20, .min_p = 0.2f},
                                    {.temperature = 1e-38f, .top_k = 9},
                                    {.temperature = 5, .top_k = 50, .top_p = 0}}) {
        p.seed = seed;
        const std::uint32_t count = best_needed(p, static_cast<std::uint32_t>(size));
        if (count == 0) continue;
        const std::vector<token_id> generated(seed % 5, 1);
        const auto wanted = sample(row, p, {}, generated, seed % 5);
        for (const std::uint32_t more : {0u, 7u}) {
          const auto got = sample(best_of(row, count + more, ops()), p, seed % 5);
          REQUIRE(got.ok());
          REQUIRE(same(*got, *wanted));
          ++compared;
        }
      }
      const auto wanted = top_log_probabilities(row, 20);
      const auto got = top_log_probabilities(best_of(row, 20, ops()), 20);
      REQUIRE(got.size() == wanted.size());
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(same(got[i], wanted[i]));
    }
  CHECK(compared > 1000);
}

TEST_CASE("the whole row is needed where more than the best can count") {
  const auto needed = [](const sampling_parameters& p) { return best_needed(p, 1000); };
  CHECK(needed({}) == 1);
  CHECK(needed({.top_k = 5, .top_p = 0.5f}) == 1);
  CHECK(needed({.temperature = 1, .top_k = 64}) == 64);
  CHECK(needed({.temperature = 1, .top_k = 65}) == 0);
  CHECK(needed({.temperature = 1}) == 0);
  CHECK(needed({.temperature = 1, .top_p = 0.1f}) == 0);
  CHECK(needed({.temperature = 1, .min_p = 0.9f}) == 0);
  CHECK(needed({.repetition_penalty = 1.1f}) == 0);
  CHECK(needed({.presence_penalty = 0.1f}) == 0);
  CHECK(needed({.frequency_penalty = 0.1f}) == 0);
  CHECK(needed({.logit_bias = {{3, 1.0f}}}) == 0);
  CHECK(best_needed({.temperature = 1, .top_k = 40}, 40) == 0);
  CHECK(best_needed({.temperature = 1, .top_k = 40}, 41) == 40);
}

TEST_CASE("an engine gives the best of the rows that are asked for, and the other rows as before") {
  const random_model weights{recipe{}};
  auto made = make_cpu_engine(weights.get(), {.threads = 1});
  REQUIRE(made.ok());
  engine& on = **made;
  const std::vector<token_id> prompt{1, 2, 3, 4, 5};
  const std::vector<block_id> blocks[] = {{0}, {1}, {2}, {3}};
  const auto steps_with = [&](std::uint32_t first, std::uint32_t third) {
    return std::vector<sequence_step>{
        {.tokens = std::span(prompt).first(2), .blocks = blocks[0], .best = first},
        {.tokens = std::span(prompt).first(3), .blocks = blocks[1], .hidden = true},
        {.tokens = std::span(prompt).first(4), .blocks = blocks[2], .best = third},
        {.tokens = prompt, .blocks = blocks[3]}};
  };
  auto whole = on.step(steps_with(0, 0));
  REQUIRE(whole.ok());
  const std::vector<float> rows(whole->values.begin(), whole->values.end());
  const std::vector<float> hidden(whole->hidden.begin(), whole->hidden.end());
  CHECK(whole->best.empty());
  auto mixed = on.step(steps_with(3, 64));
  REQUIRE(mixed.ok());
  REQUIRE(mixed->rows == 2);
  CHECK(std::memcmp(mixed->values.data(), &rows[80], 320) == 0);
  CHECK(std::memcmp(mixed->values.data() + 80, &rows[240], 320) == 0);
  CHECK(std::memcmp(mixed->hidden.data(), hidden.data(), hidden.size() * 4) == 0);
  REQUIRE(mixed->best.size() == 2);
  for (const auto& [at, row, count] : {std::tuple{0, 0, 3u}, {1, 2, 64u}}) {
    const best_logits wanted = best_of(std::span(rows).subspan(row * 80, 80), count, ops());
    CHECK(ids_of(mixed->best[at]) == ids_of(wanted));
    CHECK(mixed->best[at].exponential_sum == wanted.exponential_sum);
  }
  const auto asking = [&](bool all, bool none, std::uint32_t best) {
    return sequence_step{
        .tokens = prompt, .blocks = blocks[0], .all_logits = all, .no_logits = none, .best = best};
  };
  for (const sequence_step& asked :
       {asking(false, false, 65), asking(true, false, 1), asking(false, true, 1)}) {
    const auto refused = on.step({&asked, 1});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == troupe::error_code::invalid_argument);
  }
  CHECK(on.counters().steps == 2);  // what was refused is none
}
