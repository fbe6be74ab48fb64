// A model in parts: what it gives, what it refuses, what becomes of a part that fails.
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "kernels/stage.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

using namespace troupe::kernels;
using troupe::error;
using troupe::error_code;
using troupe::kernels::testing::random_model;
using troupe::kernels::testing::recipe;

namespace {

constexpr std::uint32_t batch_max = 256;

engine_settings part(std::uint32_t first, std::uint32_t end, std::uint64_t kv_bytes = 0) {
  engine_settings out;
  out.threads = 1;
  out.kv_bytes = kv_bytes;
  out.batch_tokens_max = batch_max;
  out.layers = {first, end};
  return out;
}

std::unique_ptr<stage> stage_of(const random_model& weights, std::uint32_t first, std::uint32_t end,
                                std::uint64_t kv_bytes = 0) {
  auto made = make_cpu_stage(weights.get(), part(first, end, kv_bytes));
  REQUIRE(made.ok());
  return std::move(*made);
}

std::unique_ptr<engine> split_of(const random_model& weights,
                                 std::vector<std::uint32_t> layers_of_each) {
  std::vector<std::unique_ptr<stage>> stages;
  std::uint32_t first = 0;
  for (const std::uint32_t count : layers_of_each) {
    stages.push_back(stage_of(weights, first, first + count));
    first += count;
  }
  auto made = make_split_engine(weights.get(), batch_max, std::move(stages));
  REQUIRE(made.ok());
  return std::move(*made);
}

// Counts, and fails at one step, as a machine that went away does.
class failing_stage final : public stage {
 public:
  failing_stage(std::unique_ptr<stage> inner, int fails_at, int& open)
      : inner_(std::move(inner)), fails_at_(fails_at), open_(open) {}
  const engine_description& description() const override { return inner_->description(); }
  layer_range layers() const override { return inner_->layers(); }
  troupe::status begin(std::span<const sequence_step> batch,
                       std::span<const float> stream) override {
    ++open_;
    return inner_->begin(batch, stream);
  }
  troupe::result<stage_output> finish() override {
    --open_;
    if (++finished_ >= fails_at_) {
      lost_ = error{error_code::unavailable, "the other machine is gone", ""};
      return *lost_;
    }
    return inner_->finish();
  }
  std::optional<error> lost() const override { return lost_; }

 private:
  std::unique_ptr<stage> inner_;
  int fails_at_, finished_ = 0;
  int& open_;
  std::optional<error> lost_;
};

}  // namespace

TEST_CASE("a long prompt in pieces, its hidden rows, and its best are those of the whole model") {
  const random_model weights(recipe{.layers = 4});
  auto whole = make_cpu_engine(weights.get(), part(0, 0));
  REQUIRE(whole.ok());
  const auto split = split_of(weights, {1, 2, 1});
  std::vector<token_id> tokens(200), others(40);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<token_id>(i * 37 % 80);
  for (std::size_t i = 0; i < others.size(); ++i) others[i] = static_cast<token_id>(i * 11 % 80);
  std::vector<block_id> blocks(13), more{20, 21, 22};
  std::iota(blocks.rbegin(), blocks.rend(), 0u);
  const sequence_step batch[] = {
      {.tokens = others, .position = 0, .blocks = more, .best = 3},
      {.tokens = tokens, .position = 0, .blocks = blocks, .hidden = true}};
  const auto expected = (*whole)->step(batch), given = split->step(batch);
  REQUIRE(expected.ok());
  REQUIRE(given.ok());
  CHECK(given->rows == 1);
  CHECK(std::vector<float>(given->values.begin(), given->values.end()) ==
        std::vector<float>(expected->values.begin(), expected->values.end()));
  REQUIRE(given->hidden.size() == 200 * 64);
  CHECK(std::vector<float>(given->hidden.begin(), given->hidden.end()) ==
        std::vector<float>(expected->hidden.begin(), expected->hidden.end()));
  REQUIRE(given->best.size() == 1);
  CHECK(given->best[0].exponential_sum == expected->best[0].exponential_sum);
  REQUIRE(given->best[0].tokens.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(given->best[0].tokens[i].id == expected->best[0].tokens[i].id);
    CHECK(given->best[0].tokens[i].logit == expected->best[0].tokens[i].logit);
  }
}

TEST_CASE("a part takes memory for its own layers, and all have as many blocks as the least has") {
  const random_model weights(recipe{.layers = 4});
  const memory_need all = cpu_memory_need(*weights.get());
  const memory_need head = cpu_memory_need(*weights.get(), kv_type::f16, {0, 1}),
                    tail = cpu_memory_need(*weights.get(), kv_type::f16, {1, 4});
  CHECK(head.weight_bytes + tail.weight_bytes == all.weight_bytes);
  CHECK(head.kv_block_bytes * 4 == all.kv_block_bytes);
  CHECK(tail.kv_block_bytes == head.kv_block_bytes * 3);
  std::vector<std::unique_ptr<stage>> stages;
  stages.push_back(stage_of(weights, 0, 1, head.kv_block_bytes * 9));
  stages.push_back(stage_of(weights, 1, 4, tail.kv_block_bytes * 7));
  CHECK(stages[0]->description().kv_blocks == 9);
  const auto split = make_split_engine(weights.get(), batch_max, std::move(stages));
  REQUIRE(split.ok());
  CHECK((*split)->description().kv_blocks == 7);
  CHECK((*split)->description().numerics_class == "cpu-1");
  CHECK((*split)->description().embedding_size == 64);
}

TEST_CASE("ranges that are no part of the model, and stages that are not the whole, are refused") {
  const random_model weights(recipe{.layers = 3});
  CHECK(make_cpu_stage(weights.get(), part(3, 0)).failure().code == error_code::invalid_argument);
  CHECK(make_cpu_stage(weights.get(), part(2, 2)).failure().code == error_code::invalid_argument);
  CHECK(make_cpu_stage(weights.get(), part(1, 4)).failure().code == error_code::invalid_argument);
  const auto made_of = [&](std::vector<layer_range> ranges) {
    std::vector<std::unique_ptr<stage>> stages;
    for (const layer_range& range : ranges)
      stages.push_back(stage_of(weights, range.first, range.end));
    return make_split_engine(weights.get(), batch_max, std::move(stages)).ok();
  };
  CHECK(made_of({{0, 1}, {1, 3}}));
  CHECK(made_of({{0, 3}}));
  CHECK_FALSE(made_of({{0, 1}, {2, 3}}));
  CHECK_FALSE(made_of({{0, 2}, {1, 3}}));
  CHECK_FALSE(made_of({{0, 1}, {1, 2}}));
  CHECK_FALSE(made_of({{1, 3}}));
  CHECK_FALSE(made_of({}));
}

TEST_CASE("rows that do not fit the step, and steps that cannot be computed, are refused") {
  const random_model weights(recipe{.layers = 2});
  const auto tail = stage_of(weights, 1, 2);
  const std::vector<token_id> tokens{1, 2, 3};
  const std::vector<block_id> blocks{0};
  const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks};
  const std::vector<float> rows(2 * 64);
  REQUIRE(tail->begin(std::span(&step, 1), rows));
  const auto short_of_one = tail->finish();
  REQUIRE_FALSE(short_of_one.ok());
  CHECK(short_of_one.failure().code == error_code::invalid_argument);

  const auto split = split_of(weights, {1, 1});
  const std::vector<block_id> none;
  const sequence_step wrong{.tokens = tokens, .position = 0, .blocks = none};
  CHECK_FALSE(split->step(std::span(&wrong, 1)).ok());
  CHECK(split->step({}).ok());
  CHECK(split->step(std::span(&step, 1)).ok());
}

TEST_CASE("a part that is lost fails the step, leaves nothing open, and the engine says so") {
  const random_model weights(recipe{.layers = 3});
  for (const int fails_at : {1, 2, 3}) {
    int open = 0;
    std::vector<std::unique_ptr<stage>> stages;
    stages.push_back(stage_of(weights, 0, 1));
    stages.push_back(std::make_unique<failing_stage>(stage_of(weights, 1, 2), fails_at, open));
    stages.push_back(std::make_unique<failing_stage>(stage_of(weights, 2, 3), 1000, open));
    auto split = make_split_engine(weights.get(), batch_max, std::move(stages));
    REQUIRE(split.ok());
    CHECK_FALSE((*split)->lost());
    std::vector<token_id> tokens(200, 5);
    std::vector<block_id> blocks(13);
    std::iota(blocks.begin(), blocks.end(), 0u);
    const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks};
    const auto given = (*split)->step(std::span(&step, 1));
    REQUIRE_FALSE(given.ok());
    CHECK(given.failure().code == error_code::unavailable);
    CHECK((*split)->lost());
    CHECK(open == 0);
  }
}

TEST_CASE("layers are shared by room, each stage getting one at least") {
  const auto ends = [](std::uint32_t layers, std::vector<std::uint64_t> room) {
    std::vector<std::uint32_t> out;
    std::uint32_t next = 0;
    for (const layer_range& one : share_layers(layers, room)) {
      CHECK(one.first == next);
      CHECK(one.end > one.first);
      next = one.end;
      out.push_back(one.end);
    }
    return out;
  };
  using list = std::vector<std::uint32_t>;
  CHECK(ends(32, {80, 80}) == list{16, 32});
  CHECK(ends(32, {24, 8}) == list{24, 32});
  CHECK(ends(3, {1'000'000, 1, 1}) == list{1, 2, 3});
  CHECK(ends(3, {1, 1, 1'000'000}) == list{1, 2, 3});
  CHECK(ends(4, {0, 0}) == list{2, 4});
  CHECK(ends(5, {7}) == list{5});
  CHECK(ends(2, {1, 1, 1}).empty());
  CHECK(ends(2, {}).empty());
}
