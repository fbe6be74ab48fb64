// What the CUDA engine is asked, and the CPU's engine beside it: every logit must have the same
// bits. The same cases run on the played device and on a real one.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cuda_engine.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

namespace troupe::kernels::testing {

// The cases are small: so is what is taken from the device at a time.
inline const cuda_settings small_device{.memory = {.pool_small_bytes = 4 << 20,
                                                   .pool_medium_bytes = 8 << 20,
                                                   .pool_large_bytes = 16 << 20}};

struct both_engines {
  both_engines(const recipe& from, engine_settings settings, cuda_settings on = small_device)
      : weights(from) {
    settings.threads = 1;
    auto cpu = make_cpu_engine(weights.get(), settings);
    REQUIRE(cpu.ok());
    on_cpu = std::move(*cpu);
    auto gpu = make_cuda_engine(weights.get(), settings, on);
    INFO((gpu.ok() ? std::string() : gpu.failure().text()));
    REQUIRE(gpu.ok());
    on_gpu = std::move(*gpu);
  }

  // Runs the step on both and counts the numbers that differ.
  std::size_t differences(std::span<const sequence_step> steps) {
    auto cpu = on_cpu->step(steps);
    REQUIRE(cpu.ok());
    auto gpu = on_gpu->step(steps);
    INFO((gpu.ok() ? std::string() : gpu.failure().text()));
    REQUIRE(gpu.ok());
    REQUIRE(gpu->rows == cpu->rows);
    last = {cpu->values.begin(), cpu->values.end()};
    return unlike(cpu->values, gpu->values) + unlike(cpu->hidden, gpu->hidden) +
           unlike(cpu->best, gpu->best);
  }

  static std::size_t unlike(std::span<const float> a, std::span<const float> b) {
    REQUIRE(a.size() == b.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) ++count;
    return count;
  }
  static std::size_t unlike(std::span<const best_logits> a, std::span<const best_logits> b) {
    REQUIRE(a.size() == b.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      REQUIRE(a[i].tokens.size() == b[i].tokens.size());
      if (std::memcmp(&a[i].exponential_sum, &b[i].exponential_sum, sizeof(double)) != 0) ++count;
      if (std::memcmp(a[i].tokens.data(), b[i].tokens.data(),
                      a[i].tokens.size() * sizeof(token_logit)) != 0)
        ++count;
    }
    return count;
  }

  random_model weights;
  std::unique_ptr<engine> on_cpu, on_gpu;
  std::vector<float> last;  // the CPU's logits of the last step
};

inline std::vector<token_id> tokens_of(std::size_t count, std::uint32_t seed) {
  std::vector<token_id> tokens(count);
  for (std::size_t i = 0; i < count; ++i)
    tokens[i] = static_cast<token_id>(uniform_draw(seed, static_cast<std::uint32_t>(i)) * 80);
  return tokens;
}

// A prompt in one step, then in chunks beside other sequences' single tokens, with greedy decoding
// in between: the steps that a batch really has.
inline void compare_engines(const recipe& from, kv_type kv) {
  both_engines both(from, {.kv_bytes = 0, .kv = kv, .batch_tokens_max = 64});
  std::vector<block_id> first(6), second(6), third(6);
  std::iota(first.begin(), first.end(), 3u);
  std::iota(second.begin(), second.end(), 20u);
  for (std::uint32_t i = 0; i < 6; ++i) third[i] = 19 - 2 * i;

  const std::vector<token_id> prompt = tokens_of(37, 1);
  const sequence_step whole{
      .tokens = prompt, .position = 0, .blocks = first, .all_logits = true, .hidden = true};
  CHECK(both.differences({&whole, 1}) == 0);

  const std::vector<token_id> other = tokens_of(30, 2);
  const std::span<const token_id> chunk(other);
  std::vector<token_id> greedy{prompt.back()};
  std::uint32_t position = 37;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::vector<token_id> lone = tokens_of(1, 40 + i);
    const sequence_step steps[] = {
        {.tokens = greedy, .position = position, .blocks = first},
        {.tokens = chunk.subspan(i * 10, 10),
         .position = i * 10,
         .blocks = second,
         .no_logits = i < 2,
         .best = i < 2 ? 0u : 64u},
        {.tokens = lone, .position = i, .blocks = third, .hidden = i == 1, .best = i}};
    CHECK(both.differences(steps) == 0);
    const auto best = std::max_element(both.last.begin(), both.last.begin() + from.vocabulary);
    greedy[0] = static_cast<token_id>(best - both.last.begin());
    ++position;
  }
  const sequence_step quiet{
      .tokens = chunk.first(5), .position = 30, .blocks = second, .no_logits = true};
  CHECK(both.differences({&quiet, 1}) == 0);
}

// Rows of which some are wanted whole and of some the best alone, in a vocabulary that takes two
// levels to look through.
inline void compare_best() {
  both_engines both({.layers = 1, .vocabulary = 2500}, {.batch_tokens_max = 16});
  const std::vector<token_id> tokens = tokens_of(8, 3);
  std::vector<std::vector<block_id>> blocks;
  for (block_id b = 0; b < 6; ++b) blocks.push_back({b});
  for (std::uint32_t mask = 0; mask < 64; mask += 7) {
    std::vector<sequence_step> steps;
    for (std::uint32_t i = 0; i < 6; ++i)
      steps.push_back({.tokens = std::span(tokens).subspan(i, 1),
                       .blocks = blocks[i],
                       .hidden = i == 4,
                       .best = (mask >> i & 1) != 0 ? 1 + 12 * i : 0});
    CHECK(both.differences(steps) == 0);
  }
}

// Past one span of attention, as a prompt and as decode.
inline void compare_long_context(kv_type kv) {
  both_engines both({.layers = 1, .embedding = 64, .feed_forward = 64, .context = 640},
                    {.kv_bytes = 0, .kv = kv, .batch_tokens_max = 300});
  std::vector<block_id> blocks(40);
  std::iota(blocks.begin(), blocks.end(), 0u);
  const std::vector<token_id> tokens = tokens_of(530, 5);
  const std::span<const token_id> all(tokens);
  for (std::uint32_t at = 0; at < 530;) {
    const std::uint32_t some = at < 500 ? 250 : at == 500 ? 29 : 1;
    const sequence_step step{.tokens = all.subspan(at, some), .position = at, .blocks = blocks};
    CHECK(both.differences({&step, 1}) == 0);
    at += some;
  }
}

// Sequences that decode side by side, step after step, from a position that is not a block's first;
// their blocks lie in no order. `best_of` says what the sequences ask of their last row.
class decoding {
 public:
  decoding(both_engines& on, std::uint32_t first_position, std::vector<std::uint32_t> best_of)
      : on_(on), best_of_(std::move(best_of)) {
    const std::vector<token_id> prompt = tokens_of(first_position + best_of_.size(), 11);
    const auto each = static_cast<std::uint32_t>(blocks_for(first_position + 40));
    for (std::uint32_t s = 0; s < best_of_.size(); ++s) {
      sequence& one = all_.emplace_back();
      for (std::uint32_t b = 0; b < each; ++b)
        one.blocks.push_back(s * each + (b % 2 == 0 ? each - 1 - b / 2 : b / 2));
      one.position = first_position + s;
      const sequence_step step{
          .tokens = std::span(prompt).first(one.position), .blocks = one.blocks, .no_logits = true};
      CHECK(on_.differences({&step, 1}) == 0);
    }
  }
  // Numbers that differ in one more token of the first `count` sequences.
  std::size_t step(std::size_t count) {
    std::vector<sequence_step> steps;
    for (std::size_t s = 0; s < count; ++s) {
      sequence& one = all_[s];
      one.token = tokens_of(1, 100 + one.position * 7 + static_cast<std::uint32_t>(s));
      steps.push_back({.tokens = one.token,
                       .position = one.position++,
                       .blocks = one.blocks,
                       .best = best_of_[s]});
    }
    return on_.differences(steps);
  }

 private:
  struct sequence {
    std::vector<token_id> token;
    std::uint32_t position = 0;
    std::vector<block_id> blocks;
  };
  both_engines& on_;
  std::vector<std::uint32_t> best_of_;
  std::deque<sequence> all_;
};

// Recorded steps beside the CPU's as tokens, positions, blocks and the number of spans change.
inline void compare_decoding(kv_type kv) {
  both_engines both({.context = 1024}, {.kv = kv, .batch_tokens_max = 300});
  decoding run(both, 240, {0, 1, 64});
  for (int i = 0; i < 30; ++i) CHECK(run.step(3) == 0);
  const engine_counters counted = both.on_gpu->counters();
  CHECK(counted.steps == 33);
  CHECK(counted.steps_replayed > 20);
  CHECK(counted.graphs_recorded == 2);  // for one span, and for two
}

inline const recipe engine_recipes[] = {
    {},
    {.heads = 6, .heads_kv = 2, .head_dimension = 20, .tied = true, .factors = true},
    {.type = tensor_type::f16, .value_type = tensor_type::bf16, .seed = 9},
    {.type = tensor_type::q8_0, .value_type = tensor_type::q4_0, .seed = 3},
    {.embedding = 256,
     .feed_forward = 256,
     .heads = 8,
     .heads_kv = 1,
     .head_dimension = 32,
     .type = tensor_type::q4_k,
     .value_type = tensor_type::q6_k,
     .seed = 4},
    {.layers = 1,
     .embedding = 256,
     .feed_forward = 512,
     .heads = 2,
     .heads_kv = 2,
     .head_dimension = 128,
     .type = tensor_type::q5_k,
     .value_type = tensor_type::f32,
     .tied = true,
     .seed = 5},
};

}  // namespace troupe::kernels::testing
