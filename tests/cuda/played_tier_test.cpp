// Host memory behind the KV store of a played GPU: its bytes, its copies' order, and the inference
// core over it. The device is as late as it can be, so that a wait that is missing shows.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/kv/kv_transfer.hpp"
#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/played_runtime.hpp"
#include "tests/property/actors/real_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;
using namespace troupe::kernels::testing;
using kernels::block_id;
using kernels::kv_transfer;
using kernels::kv_type;
using kernels::sequence_step;
using kernels::token_id;

namespace {

std::vector<std::uint8_t> content(kernels::engine& on, block_id block) {
  kv_transfer& transfer = *on.transfer();
  const auto copy = transfer.take_out(block, 0);
  REQUIRE(copy.ok());
  REQUIRE(transfer.wait(*copy).ok());
  const auto bytes = transfer.bytes(0);
  return {bytes.begin(), bytes.end()};
}

std::shared_ptr<kernels::engine> played_engine(std::uint32_t blocks, kv_type kv) {
  const std::uint64_t block = kernels::cpu_memory_need(*small_model().get(), kv).kv_block_bytes;
  auto made = kernels::make_cuda_engine(
      small_model().get(), {.kv_bytes = blocks * block, .kv = kv, .batch_tokens_max = 512},
      small_device);
  REQUIRE(made.ok());
  return std::move(*made);
}

}  // namespace

TEST_CASE("played GPU: a block's bytes on the host are those of the processor's engine") {
  for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) {
    both_engines both({.layers = 3}, {.kv = kv, .batch_tokens_max = 64});
    for (auto* engine : {both.on_cpu.get(), both.on_gpu.get()}) {
      const auto places = engine->transfer()->open(engine->transfer()->block_bytes());
      REQUIRE(places.ok());
      CHECK(*places == 1);
    }
    const std::vector<token_id> prompt = tokens_of(40, 1);
    const std::vector<block_id> blocks{5, 2, 9};
    const sequence_step step{.tokens = prompt, .position = 0, .blocks = blocks};
    CHECK(both.differences({&step, 1}) == 0);
    for (const block_id full : {5u, 2u})
      CHECK(content(*both.on_gpu, full) == content(*both.on_cpu, full));
    CHECK(content(*both.on_gpu, 5) != content(*both.on_gpu, 2));
    // And so the processor goes on from the GPU's blocks.
    const auto theirs = content(*both.on_gpu, 5);
    std::copy(theirs.begin(), theirs.end(), both.on_cpu->transfer()->bytes(0).begin());
    REQUIRE(both.on_cpu->transfer()->bring_in(30, 0).ok());
    const std::vector<token_id> next = tokens_of(1, 2);
    const std::vector<block_id> moved{30, 2, 9};
    const sequence_step here{.tokens = next, .position = 40, .blocks = blocks},
        there{.tokens = next, .position = 40, .blocks = moved};
    const auto gpu = both.on_gpu->step({&here, 1});
    const auto cpu = both.on_cpu->step({&there, 1});
    REQUIRE((gpu.ok() && cpu.ok()));
    CHECK(both_engines::unlike(cpu->values, gpu->values) == 0);
  }
}

TEST_CASE("played GPU: copies that nobody waits for do what they would do one after the other") {
  const auto engine = played_engine(6, kv_type::f16);
  kv_transfer& transfer = *engine->transfer();
  REQUIRE(transfer.open(3 * transfer.block_bytes()).ok());
  CHECK(*transfer.room() == kv_transfer::running_max);
  const std::vector<token_id> one(16, 3), other(16, 4);
  const std::vector<block_id> block_1{1};
  const auto compute = [&](const std::vector<token_id>& tokens) {
    const sequence_step step{.tokens = tokens, .position = 0, .blocks = block_1};
    REQUIRE(engine->step({&step, 1}).ok());
  };
  compute(one);
  REQUIRE(transfer.take_out(1, 2).ok());
  compute(other);                         // writes the block: it waits for the copy
  REQUIRE(transfer.bring_in(4, 2).ok());  // the first text
  REQUIRE(transfer.take_out(1, 2).ok());  // the place is reused at once
  REQUIRE(transfer.bring_in(5, 2).ok());  // the second text
  REQUIRE(transfer.bring_in(1, 2).ok());
  CHECK(*transfer.room() < kv_transfer::running_max);
  const auto first = content(*engine, 4), second = content(*engine, 5);
  CHECK(first != second);
  CHECK(content(*engine, 1) == second);
  compute(one);
  CHECK(content(*engine, 1) == first);
}

TEST_CASE("played GPU: room for copies comes back as they pass; memory goes with the engine") {
  auto engine = played_engine(6, kv_type::f16);
  kv_transfer& transfer = *engine->transfer();
  REQUIRE(transfer.open(2 * transfer.block_bytes()).ok());
  for (std::uint32_t i = 0; i < kv_transfer::running_max; ++i)
    REQUIRE(transfer.take_out(i % 6, i % 2).ok());
  CHECK(*transfer.room() == 0);
  CHECK(transfer.bring_in(0, 0).failure().code == error_code::resource_exhausted);
  REQUIRE(transfer.wait_for_room().ok());
  CHECK(*transfer.room() == 1);
  CHECK(operations_waiting() > 0);
  engine.reset();
  CHECK(operations_waiting() == 0);
}

TEST_CASE(
    "played GPU: answers are those of a processor with room, whatever leaves and comes back") {
  std::uint64_t restored = 0, dropped = 0, out = 0;
  CHECK(rc::check("conversations", [&] {
    inference_settings settings = random_settings();
    settings.kv = *rc::gen::element(kv_type::f16, kv_type::q8_0);
    real_bench b{settings, played_engine(pick<std::uint32_t>(6, 10), settings.kv),
                 pick<std::uint32_t>(1, 24)};
    random_conversations all{b};
    for (int acts = pick(8, 20); acts > 0; --acts) all.act();
    all.finish();
    check_turns(b, all, settings.kv);
    restored += b.use().host_blocks_restored;
    dropped += b.use().host_blocks_dropped;
    out += b.use().host_blocks_copied_out;
  }));
  CHECK(restored > 25);
  CHECK(dropped > 20);
  CHECK(out > 200);
}
