// KV blocks out of the processor's engine and in again, and what must never come back in.
#include "kernels/kv/kv_transfer.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "kernels/kv/tiered_blocks.hpp"
#include "kernels/stage.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;
using troupe::error_code;

namespace {

using tokens = std::vector<token_id>;

struct one_engine {
  explicit one_engine(kv_type kv = kv_type::f16) : weights(recipe{.layers = 3}) {
    auto made = make_cpu_engine(weights.get(), {.threads = 1, .kv = kv, .batch_tokens_max = 64});
    REQUIRE(made.ok());
    engine = std::move(*made);
    const auto opened = transfer().open(8 * transfer().block_bytes() + 1);
    REQUIRE(opened.ok());
    CHECK(*opened == 8);
  }
  kv_transfer& transfer() { return *engine->transfer(); }
  std::vector<float> compute(const tokens& what, std::uint32_t position,
                             const std::vector<block_id>& blocks) {
    const sequence_step step{.tokens = what, .position = position, .blocks = blocks};
    const auto logits = engine->step({&step, 1});
    REQUIRE(logits.ok());
    return {logits->values.begin(), logits->values.end()};
  }
  std::vector<std::uint8_t> content(block_id block) {
    REQUIRE(transfer().take_out(block, 7).ok());
    const auto bytes = transfer().bytes(7);
    return {bytes.begin(), bytes.end()};
  }
  random_model weights;
  std::unique_ptr<troupe::kernels::engine> engine;
};

tokens counted(std::size_t count, token_id from) {
  tokens out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

block_tokens second_block(const tokens& of) {
  return std::span(of).subspan<16, 16>();
}

}  // namespace

TEST_CASE(
    "KV transfer: a block that was taken out and brought into another gives the same logits") {
  for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) {
    one_engine here(kv);
    const tokens prompt = counted(32, 1), next = {5};
    here.compute(prompt, 0, {0, 1});
    const std::vector<float> wanted = here.compute(next, 32, {0, 1, 2});
    REQUIRE(here.transfer().take_out(0, 3).ok());
    REQUIRE(here.transfer().take_out(1, 4).ok());
    here.compute(counted(32, 9), 0, {0, 1});
    CHECK(here.compute(next, 32, {0, 1, 2}) != wanted);
    REQUIRE(here.transfer().bring_in(6, 3).ok());
    REQUIRE(here.transfer().bring_in(0, 4).ok());
    CHECK(here.compute(next, 32, {6, 0, 2}) == wanted);
  }
}

TEST_CASE("KV transfer: bytes depend on a block's text, not on where and how it was computed") {
  one_engine here;
  const tokens prompt = counted(32, 1);
  here.compute(prompt, 0, {0, 1});
  for (std::uint32_t at = 0; at < 32; at += 8)
    here.compute({prompt.begin() + at, prompt.begin() + at + 8}, at, {4, 2});
  CHECK(here.content(0) == here.content(4));
  CHECK(here.content(1) == here.content(2));
  CHECK(here.content(0) != here.content(1));
}

TEST_CASE("KV transfer: what cannot be copied or taken is an error") {
  one_engine here;
  const std::uint32_t blocks = here.engine->description().kv_blocks;
  CHECK(here.transfer().take_out(blocks, 0).failure().code == error_code::invalid_argument);
  CHECK(here.transfer().bring_in(0, 8).failure().code == error_code::invalid_argument);
  CHECK(here.transfer().open(1 << 20).failure().code == error_code::invalid_argument);
  random_model weights(recipe{.layers = 2});
  auto fresh = make_cpu_engine(weights.get(), {.threads = 1});
  REQUIRE(fresh.ok());
  CHECK((*fresh)->transfer()->take_out(0, 0).failure().code == error_code::invalid_argument);
  CHECK((*fresh)->transfer()->open(10).failure().code == error_code::invalid_argument);
}

TEST_CASE("KV transfer: an engine whose layers lie in several places has none") {
  random_model weights(recipe{.layers = 2});
  std::vector<std::unique_ptr<stage>> stages;
  for (const layer_range layers : {layer_range{0, 1}, layer_range{1, 2}}) {
    auto part = make_cpu_stage(weights.get(), {.threads = 1, .layers = layers});
    REQUIRE(part.ok());
    stages.push_back(std::move(*part));
  }
  auto split = make_split_engine(weights.get(), 512, std::move(stages));
  REQUIRE(split.ok());
  CHECK((*split)->transfer() == nullptr);
}

// Two texts whose second blocks hold the same tokens and, by a collision, have the same name. Keys
// and values of the second depend on the first, so that one's would be wrong in the other.
TEST_CASE("KV transfer: a block of the same name and tokens behind another beginning is not used") {
  one_engine here;
  tokens one = counted(32, 1), other = one;
  std::fill_n(other.begin(), 16, 40);
  constexpr block_name first_of_one = 1, first_of_other = 2, second = 3;
  tiered_blocks kv(2, 6);
  const auto run = [&] {
    for (const kv_copy_order& order : kv.take_orders()) {
      REQUIRE_FALSE(order.brings);
      REQUIRE(here.transfer().take_out(order.block, order.place).ok());
    }
    kv.set_room(64);
  };
  run();
  std::vector<block_id> blocks;
  REQUIRE(kv.extend(blocks, 32));
  here.compute(one, 0, blocks);
  REQUIRE(kv.publish(blocks[0], first_of_one, std::nullopt, std::span(one).first<16>()));
  REQUIRE(kv.publish(blocks[1], second, blocks[0], second_block(one)));
  kv.release_all(blocks);
  REQUIRE(kv.extend(blocks, 32));  // both are taken: their copies go out first
  run();
  CHECK(kv.host().used() == 2);
  here.compute(other, 0, blocks);
  REQUIRE(kv.publish(blocks[0], first_of_other, std::nullopt, std::span(other).first<16>()));

  const host_tier::entry* first = kv.host().find(first_of_one, nullptr, std::span(one).first<16>());
  REQUIRE(first != nullptr);
  const host_tier::entry* kept = kv.host().find(second, first, second_block(one));
  REQUIRE(kept != nullptr);
  CHECK(std::equal(second_block(one).begin(), second_block(one).end(),
                   second_block(other).begin()));  // nothing but the parent tells them apart
  CHECK_FALSE(kv.is_kept(second, blocks[0], second_block(other)));
  CHECK_FALSE(kv.restore(blocks[1], second, blocks[0], second_block(other)));
  const auto wrong = here.transfer().bytes(*kept->place);
  CHECK(std::vector<std::uint8_t>(wrong.begin(), wrong.end()) != here.content(blocks[1]));
  // The name goes to the text that is computed; the other's block costs a hit from now on.
  CHECK(kv.publish(blocks[1], second, blocks[0], second_block(other)) == blocks[1]);
  CHECK(kv.host().find(second, first, second_block(one)) == nullptr);
}
