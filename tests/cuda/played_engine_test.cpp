// The CUDA engine's own code on a played device (played_runtime.cpp): what it computes, refuses and
// gives back.
#include <doctest/doctest.h>

#include "kernels/backend/cuda/cuda_kv_cuda.hpp"
#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/played_runtime.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;
using troupe::error_code;

TEST_CASE("played GPU: every step of a batch has the CPU engine's bits, for all types of weights") {
  for (const recipe& from : engine_recipes) compare_engines(from, kv_type::f16);
  compare_engines(engine_recipes[1], kv_type::q8_0);
  compare_engines(engine_recipes[4], kv_type::q8_0);
}

TEST_CASE(
    "played GPU: the best of a row have the CPU engine's bits, whatever rows are asked for whole") {
  compare_best();
}

TEST_CASE("played GPU: contexts of several spans have the CPU engine's bits, split or not") {
  for (const int multiprocessors : {1, 100}) {
    the_played_device().multiprocessors = multiprocessors;
    compare_long_context(kv_type::f16);
    compare_long_context(kv_type::q8_0);
  }
  the_played_device().multiprocessors = 4;
}

TEST_CASE("played GPU: the description names the device's class, and all memory is given back") {
  const std::size_t before = the_played_device().bytes_used;
  {
    both_engines both({}, {.kv_bytes = 0, .batch_tokens_max = 8});
    const engine_description& d = both.on_gpu->description();
    CHECK(d.backend == "cuda");
    CHECK(d.numerics_class == "cuda-sm90-1");
    CHECK(d.kv_blocks == both.on_cpu->description().kv_blocks);
    CHECK(d.kv_bytes == both.on_cpu->description().kv_bytes);
    CHECK(the_played_device().bytes_used > before);
    const std::vector<token_id> many = tokens_of(9, 1);
    const std::vector<block_id> blocks{0};
    const sequence_step step{.tokens = many, .position = 0, .blocks = blocks};
    auto refused = both.on_gpu->step({&step, 1});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == error_code::invalid_argument);
  }
  CHECK(the_played_device().bytes_used == before);
}

TEST_CASE("played GPU: what does not fit is refused as a value, and the device stays usable") {
  const random_model weights{recipe{}};
  const auto code = [&](engine_settings settings, cuda_settings cuda) {
    cuda.memory.pool_small_bytes = cuda.memory.pool_medium_bytes = 8 << 20;
    auto made = make_cuda_engine(weights.get(), settings, cuda);
    return made.ok() ? error_code::ok : made.failure().code;
  };
  const std::size_t usual = the_played_device().bytes, before = the_played_device().bytes_used;
  the_played_device().bytes = before + 100000;
  CHECK(code({}, {.memory = {.reserve_bytes = 0}}) == error_code::resource_exhausted);
  CHECK(code({}, {.memory = {.reserve_bytes = 2 << 20}}) == error_code::resource_exhausted);
  the_played_device().bytes = usual;
  CHECK(code({}, {.memory = {.model_bytes_max = 100000}}) == error_code::resource_exhausted);
  CHECK(code({}, {.device = 1}) == error_code::invalid_argument);
  CHECK(code({.batch_tokens_max = 0}, {}) == error_code::invalid_argument);
  CHECK(code({.batch_tokens_max = 40000}, {}) == error_code::invalid_argument);
  CHECK(code({.kv_bytes = 1}, {}) == error_code::resource_exhausted);
  CHECK(code({}, {}) == error_code::ok);
  CHECK(the_played_device().bytes_used == before);
  const random_model wide{recipe{.heads = 1, .heads_kv = 1, .head_dimension = 258}};
  auto made = make_cuda_engine(wide.get(), {}, {});
  REQUIRE_FALSE(made.ok());
  CHECK(made.failure().code == error_code::unsupported);
}

TEST_CASE("played GPU: a KV store is as large as there is room for, down to the least of use") {
  const random_model weights{recipe{.layers = 3, .context = 4096}};
  const std::uint64_t block = cpu_memory_need(*weights.get()).kv_block_bytes;
  const std::size_t usual = the_played_device().bytes, before = the_played_device().bytes_used;
  const auto make = [&](std::uint64_t least) {
    return make_cuda_engine(
        weights.get(), {.kv_bytes = 40000 * block, .kv_bytes_least = least, .batch_tokens_max = 64},
        {.memory = {.pool_small_bytes = 1 << 20,
                    .pool_medium_bytes = 1 << 20,
                    .pool_large_bytes = 1 << 20,
                    .reserve_bytes = 4 << 20}});
  };
  the_played_device().bytes = before + (200u << 20);
  const auto exact = make(0), none = make(40000 * block);
  REQUIRE_FALSE(exact.ok());
  CHECK(exact.failure().code == error_code::resource_exhausted);
  REQUIRE_FALSE(none.ok());
  CHECK(none.failure().code == error_code::resource_exhausted);
  CHECK(none.failure().text().find("gpu.devices") != std::string::npos);
  CHECK(the_played_device().bytes_used == before);
  {
    const auto fits = make(100 * block);
    REQUIRE_MESSAGE(fits.ok(), (fits.ok() ? "" : fits.failure().text()));
    const std::uint32_t blocks = (*fits)->description().kv_blocks;
    CHECK(blocks >= 100);
    CHECK(blocks < 40000);
    CHECK(blocks * block > (40u << 20));  // 200 MiB less reserve, spans and a step's rows
    // A step of the largest usual kind still has its memory.
    const std::vector<token_id> tokens = tokens_of(64, 1);
    const std::vector<block_id> ids{0, 1, 2, blocks - 1};
    const sequence_step step{.tokens = tokens, .position = 0, .blocks = ids, .all_logits = true};
    CHECK((*fits)->step({&step, 1}).ok());
  }
  the_played_device().bytes = usual;
  CHECK(the_played_device().bytes_used == before);
}

TEST_CASE("played GPU: KV blocks leave, come back and move whole") {
  using namespace troupe::kernels::cuda;
  auto on = device::open(small_device);
  REQUIRE(on.ok());
  auto work = stream::make();
  REQUIRE(work.ok());
  const random_model weights{recipe{.layers = 3}};
  auto made = cuda_kv::make(weights.get()->shape, kv_type::f16, 0, **on, **work, "test");
  REQUIRE(made.ok());
  cuda_kv& kv = **made;
  std::vector<std::uint8_t> sent(kv.block_bytes()), back(kv.block_bytes()), empty(kv.block_bytes());
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::uint8_t>(i * 7 + 1);
  REQUIRE(kv.copy_in(5, sent.data(), **work).ok());
  REQUIRE(kv.copy_out(5, back.data(), **work).ok());
  REQUIRE((*work)->wait("a copy").ok());
  CHECK(back == sent);
  REQUIRE(kv.copy_out(4, back.data(), **work).ok());
  REQUIRE((*work)->wait("a copy").ok());
  CHECK(back == empty);
  const kv_move move{5, 1};
  REQUIRE(kv.move({&move, 1}, **work).ok());
  REQUIRE(kv.copy_out(1, back.data(), **work).ok());
  REQUIRE((*work)->wait("a copy").ok());
  CHECK(back == sent);
  CHECK(std::equal(sent.begin(), sent.begin() + 64, kv.layer(0).bytes + kv.layer(0).block_bytes));
}
