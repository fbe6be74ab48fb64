// The promise: a row's bits depend on that row's tokens alone. Batches, chunks, block numbers,
// thread counts and instruction sets are drawn at random; the logits must equal those of the
// reference variant that computes one sequence at a time, in one piece, on one thread.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "kernels/ops/matmul.hpp"
#include "kernels/stage.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

using namespace troupe::kernels;
using troupe::kernels::testing::random_model;
using troupe::kernels::testing::recipe;

namespace {

const recipe recipes[] = {
    {},
    {.heads = 3,
     .heads_kv = 1,
     .head_dimension = 20,
     .vocabulary = 77,
     .tied = true,
     .factors = true,
     .seed = 2},
    {.type = tensor_type::f16, .value_type = tensor_type::bf16, .seed = 3},
    {.type = tensor_type::q8_0, .value_type = tensor_type::q4_0, .seed = 4},
    {.layers = 1,
     .embedding = 256,
     .feed_forward = 256,
     .heads = 4,
     .heads_kv = 4,
     .head_dimension = 64,
     .type = tensor_type::q4_k,
     .value_type = tensor_type::q6_k,
     .seed = 5},
    {.layers = 1,
     .embedding = 256,
     .feed_forward = 512,
     .heads = 2,
     .heads_kv = 2,
     .head_dimension = 128,
     .type = tensor_type::q5_k,
     .value_type = tensor_type::q8_0,
     .factors = true,
     .seed = 6},
    {.layers = 1, .embedding = 32, .feed_forward = 32, .heads = 2, .heads_kv = 1, .seed = 7},
    {.layers = 5, .factors = true, .seed = 8},
};

const random_model& model_of(std::size_t which) {
  static std::map<std::size_t, random_model> made;
  return made.try_emplace(which, recipes[which]).first->second;
}

std::unique_ptr<engine> make(std::size_t which, const std::string& variant, int threads,
                             kv_type kv = kv_type::f16) {
  auto made = make_cpu_engine(model_of(which).get(), {.threads = threads,
                                                      .kv_bytes = 0,
                                                      .kv = kv,
                                                      .batch_tokens_max = 256,
                                                      .variant = variant,
                                                      .affinity = {}});
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
  return std::move(*made);
}

// Logits of every token of one sequence, in one step.
std::vector<float> alone(engine& on, const std::vector<token_id>& tokens) {
  std::vector<block_id> blocks((tokens.size() + 15) / 16);
  std::iota(blocks.begin(), blocks.end(), 0u);
  const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks, .all_logits = true};
  auto logits = on.step(std::span(&step, 1));
  REQUIRE(logits.ok());
  return {logits->values.begin(), logits->values.end()};
}

struct sequence {
  std::vector<token_id> tokens;
  std::vector<float> expected;  // logits of every token
  std::vector<block_id> blocks;
  std::uint32_t done = 0;
};

enum class wish { none, last, all };

// A schedule is long and does not shrink well: it is drawn from one seed.
struct dice {
  std::uint64_t seed;
  std::uint32_t thrown = 0;
  std::uint32_t below(std::size_t n) {
    return static_cast<std::uint32_t>(uniform_draw(seed, thrown++) * static_cast<double>(n));
  }
};

// The same model as stages of random length.
std::unique_ptr<engine> make_in_parts(std::size_t which, const std::string& variant, kv_type kv,
                                      dice& any) {
  const auto weights = model_of(which).get();
  std::vector<std::unique_ptr<stage>> stages;
  for (std::uint32_t first = 0; first < weights->shape.layers;) {
    const std::uint32_t end = first + 1 + any.below(weights->shape.layers - first);
    auto made = make_cpu_stage(weights, {.threads = 1 + static_cast<int>(any.below(2)),
                                         .kv_bytes = 0,
                                         .kv = kv,
                                         .batch_tokens_max = 256,
                                         .variant = variant,
                                         .affinity = {},
                                         .layers = {first, end}});
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
    stages.push_back(std::move(*made));
    first = end;
  }
  auto made = make_split_engine(weights, 256, std::move(stages));
  REQUIRE(made.ok());
  return std::move(*made);
}

// One random step: some sequences go on by some tokens each, and the logits must be the expected
// ones.
void advance(engine& on, std::vector<sequence>& sequences, std::uint32_t vocabulary, dice& any) {
  std::vector<sequence_step> steps;
  std::vector<std::pair<sequence*, wish>> asked;
  for (sequence& s : sequences) {
    const auto left = static_cast<std::uint32_t>(s.tokens.size()) - s.done;
    if (left == 0 || any.below(4) == 0) continue;
    const std::uint32_t counts[] = {1, std::min(left, 1 + any.below(20)), left};
    const std::uint32_t count = counts[any.below(3)];
    const wish want = static_cast<wish>(any.below(3));
    steps.push_back({.tokens = std::span(s.tokens).subspan(s.done, count),
                     .position = s.done,
                     .blocks = s.blocks,
                     .all_logits = want == wish::all,
                     .no_logits = want == wish::none});
    asked.push_back({&s, want});
  }
  auto logits = on.step(steps);
  RC_ASSERT(logits.ok());
  std::size_t row = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto& [s, want] = asked[i];
    const std::size_t count = steps[i].tokens.size();
    const std::size_t rows = want == wish::none ? 0 : want == wish::last ? 1 : count;
    const std::size_t first = s->done + count - rows;
    if (rows > 0) {
      const auto given = logits->values.subspan(row * vocabulary, rows * vocabulary);
      RC_ASSERT(std::memcmp(given.data(), &s->expected[first * vocabulary], given.size_bytes()) ==
                0);
    }
    row += rows;
    s->done += static_cast<std::uint32_t>(count);
  }
  RC_ASSERT(logits->rows == row);
}

}  // namespace

TEST_CASE("engine: batches, chunks, blocks, threads, variants and parts never change a bit") {
  std::map<std::pair<std::size_t, kv_type>, std::unique_ptr<engine>> references;
  CHECK(rc::check("random schedules", [&] {
    dice any{*rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))};
    const std::size_t which = any.below(std::size(recipes));
    const kv_type kv = any.below(2) == 0 ? kv_type::f16 : kv_type::q8_0;
    std::unique_ptr<engine>& reference = references[{which, kv}];
    if (reference == nullptr) reference = make(which, "reference", 1, kv);
    const std::uint32_t vocabulary = recipes[which].vocabulary;
    const auto variants = matmul_variants();
    const std::string variant(variants[any.below(variants.size())]);
    const auto on = any.below(3) == 0
                        ? make_in_parts(which, variant, kv, any)
                        : make(which, variant, 1 + static_cast<int>(any.below(3)), kv);

    std::vector<block_id> ids(on->description().kv_blocks);
    std::iota(ids.begin(), ids.end(), 0u);
    std::rotate(ids.begin(), ids.begin() + any.below(ids.size()), ids.end());
    if (any.below(2) == 0) std::reverse(ids.begin(), ids.end());

    std::vector<sequence> sequences(1 + any.below(3));
    std::size_t used = 0;
    for (sequence& s : sequences) {
      s.tokens.resize(1 + any.below(60));
      for (token_id& token : s.tokens) token = static_cast<token_id>(any.below(vocabulary));
      s.expected = alone(*reference, s.tokens);
      for (std::size_t b = 0; b < (s.tokens.size() + 15) / 16; ++b) s.blocks.push_back(ids[used++]);
    }
    const auto unfinished = [](const sequence& s) { return s.done < s.tokens.size(); };
    while (std::any_of(sequences.begin(), sequences.end(), unfinished))
      advance(*on, sequences, vocabulary, any);
  }));
}

TEST_CASE("engine: a context of two attention spans is the same in one piece and token by token") {
  for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) {
    const auto slow = make(6, "reference", 1, kv);
    const auto fast = make(6, "", 2, kv);
    std::vector<token_id> tokens(512);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<token_id>(i * 37 % 80);
    std::vector<block_id> blocks(32);
    std::iota(blocks.rbegin(), blocks.rend(), 0u);
    std::vector<float> pieces[2];
    for (const bool single : {false, true}) {
      engine& on = single ? *slow : *fast;
      const std::uint32_t chunk = single ? 1 : 200;
      for (std::uint32_t at = 0; at < tokens.size(); at += chunk) {
        const sequence_step step{.tokens = std::span(tokens).subspan(
                                     at, std::min<std::size_t>(chunk, tokens.size() - at)),
                                 .position = at,
                                 .blocks = blocks,
                                 .all_logits = true};
        auto logits = on.step(std::span(&step, 1));
        REQUIRE(logits.ok());
        pieces[single].insert(pieces[single].end(), logits->values.begin(), logits->values.end());
      }
    }
    REQUIRE(pieces[0].size() == pieces[1].size());
    CHECK(std::memcmp(pieces[0].data(), pieces[1].data(), pieces[0].size() * sizeof(float)) == 0);
  }
}

TEST_CASE("engine: a prefix computed by one sequence serves another") {
  for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) {
    const auto on = make(1, "", 2, kv);
    std::vector<token_id> tokens(48);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<token_id>(i * 11 % 77);
    const std::vector<float> expected = alone(*on, tokens);
    const std::vector<block_id> first{5, 3, 9}, second{5, 3, 2};
    const sequence_step fill{
        .tokens = std::span(tokens).first(40), .position = 0, .blocks = first, .no_logits = true};
    REQUIRE(on->step(std::span(&fill, 1)).ok());
    const sequence_step both[] = {
        {.tokens = std::span(tokens).subspan(40), .position = 40, .blocks = first},
        {.tokens = std::span(tokens).subspan(32), .position = 32, .blocks = second}};
    auto logits = on->step(both);
    REQUIRE(logits.ok());
    REQUIRE(logits->rows == 2);
    for (int row = 0; row < 2; ++row)
      CHECK(std::memcmp(&logits->values[row * 77], &expected[47 * 77], 77 * sizeof(float)) == 0);
  }
}

TEST_CASE("engine: types of keys and values are classes of their own, near each other") {
  const auto halves = make(1, "", 2), bytes = make(1, "", 2, kv_type::q8_0);
  CHECK(halves->description().numerics_class == "cpu-1");
  CHECK(bytes->description().numerics_class == "cpu-1-kvq8");
  const model& weights = *model_of(1).get();
  CHECK(bytes->description().kv_blocks == halves->description().kv_blocks);
  CHECK(bytes->description().kv_bytes ==
        bytes->description().kv_blocks * cpu_memory_need(weights, kv_type::q8_0).kv_block_bytes);
  CHECK(bytes->description().kv_bytes * 9 < halves->description().kv_bytes * 5);
  std::vector<token_id> tokens(60);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<token_id>(i * 29 % 77);
  const std::vector<float> a = alone(*halves, tokens), b = alone(*bytes, tokens);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double off = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = off <= worst ? worst : off;  // a NaN stays
    largest = std::max(largest, std::fabs(static_cast<double>(a[i])));
  }
  CHECK(worst > 0);
  CHECK(worst < 0.02 * largest);
}

TEST_CASE("engine: hidden rows do not depend on chunks or variants, and leave the logits alone") {
  std::vector<token_id> tokens(70);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<token_id>(i * 13 % 80);
  const std::vector<block_id> blocks{4, 1, 0, 7, 2};
  std::vector<float> expected;
  for (const std::string_view variant : matmul_variants()) {
    const auto on = make(3, std::string(variant), 2);
    const std::uint32_t width = on->description().embedding_size;
    REQUIRE(width == 64);
    const std::vector<float> plain = alone(*on, tokens);
    for (const std::size_t chunk : {std::size_t{70}, std::size_t{9}, std::size_t{1}}) {
      std::vector<float> hidden, last;
      for (std::size_t at = 0; at < tokens.size(); at += chunk) {
        const std::size_t count = std::min(chunk, tokens.size() - at);
        const bool end = at + count == tokens.size();
        const sequence_step step{.tokens = std::span(tokens).subspan(at, count),
                                 .position = static_cast<std::uint32_t>(at),
                                 .blocks = blocks,
                                 .no_logits = !end,
                                 .hidden = true};
        auto given = on->step(std::span(&step, 1));
        REQUIRE(given.ok());
        REQUIRE(given->hidden.size() == count * width);
        REQUIRE(given->rows == (end ? 1 : 0));
        hidden.insert(hidden.end(), given->hidden.begin(), given->hidden.end());
        last.assign(given->values.begin(), given->values.end());
      }
      if (expected.empty()) expected = hidden;
      CHECK(std::memcmp(hidden.data(), expected.data(), expected.size() * sizeof(float)) == 0);
      CHECK(std::memcmp(last.data(), &plain[69 * 80], 80 * sizeof(float)) == 0);
    }
  }
}
