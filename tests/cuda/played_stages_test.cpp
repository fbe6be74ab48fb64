// A model's layers on several played GPUs, or on a GPU and the processor: the bits of the whole.
#include <doctest/doctest.h>

#include "tests/cuda/played_runtime.hpp"
#include "tests/cuda/spread_cases.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;
using troupe::error_code;

TEST_CASE("played GPUs: layers on two and three of them have the CPU engine's bits") {
  const several_gpus three(3);
  const std::size_t before = the_played_device().bytes_used;
  for (recipe from : engine_recipes) {
    from.layers = 3;
    from.context = 512;
    compare_spread(from, on({0, 1}), kv_type::f16);
  }
  CHECK(the_played_device().current == 1);  // where the last layers are
  compare_spread(recipe{.layers = 5, .tied = true}, on({2, 0, 1}), kv_type::q8_0);
  CHECK(the_played_device().bytes_used == before);
}

TEST_CASE("played GPUs: a spread model says what it is, and takes blocks alike everywhere") {
  const several_gpus two(2);
  const random_model weights{recipe{.layers = 4}};
  const std::uint64_t block = cpu_memory_need(*weights.get()).kv_block_bytes;
  auto made = make_cuda_engine(weights.get(), {.kv_bytes = 20 * block + block / 2}, on({0, 1}));
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
  const engine_description& d = (*made)->description();
  CHECK(d.backend == "cuda");
  CHECK(d.numerics_class == "cuda-sm90-1");
  CHECK(d.kv_blocks == 20);
  CHECK(d.kv_bytes == 20 * block);
}

TEST_CASE("played GPUs: devices that are not there, and more devices than layers, are refused") {
  const several_gpus two(2);
  const random_model weights{recipe{.layers = 2}};
  const auto code = [&](std::vector<int> devices) {
    const auto made = make_cuda_engine(weights.get(), {}, on(std::move(devices)));
    return made.ok() ? error_code::ok : made.failure().code;
  };
  CHECK(code({0, 1}) == error_code::ok);
  CHECK(code({0, 2}) == error_code::invalid_argument);
  CHECK(code({0, 1, 0}) == error_code::invalid_argument);
}

TEST_CASE("played GPU: first layers on it and the others on the processor, or the other way") {
  const random_model weights{recipe{.layers = 4, .type = tensor_type::q8_0}};
  auto whole = make_cpu_engine(weights.get(), {.threads = 1});
  REQUIRE(whole.ok());
  for (const bool gpu_first : {true, false}) {
    std::vector<std::unique_ptr<stage>> stages;
    for (const layer_range layers : {layer_range{0, 2}, layer_range{2, 4}}) {
      const engine_settings settings{.threads = 1, .layers = layers};
      auto made = (layers.first == 0) == gpu_first
                      ? make_cuda_stage(weights.get(), settings, small_device)
                      : make_cpu_stage(weights.get(), settings);
      REQUIRE(made.ok());
      stages.push_back(std::move(*made));
    }
    auto split = make_split_engine(weights.get(), 512, std::move(stages));
    REQUIRE(split.ok());
    CHECK((*split)->description().numerics_class ==
          (gpu_first ? "cuda-sm90-1+cpu-1" : "cpu-1+cuda-sm90-1"));
    const std::vector<token_id> tokens = tokens_of(100, 3);
    std::vector<block_id> blocks(7);
    std::iota(blocks.begin(), blocks.end(), 2u);
    const sequence_step step{.tokens = tokens, .position = 0, .blocks = blocks, .all_logits = true};
    const auto expected = (*whole)->step({&step, 1}), given = (*split)->step({&step, 1});
    REQUIRE(expected.ok());
    REQUIRE(given.ok());
    CHECK(both_engines::unlike(expected->values, given->values) == 0);
  }
}

TEST_CASE("played GPU: as many first layers fit as can be made, and hardly one more") {
  const random_model weights{recipe{.layers = 12, .embedding = 256, .feed_forward = 1024}};
  const std::size_t usual = the_played_device().bytes, before = the_played_device().bytes_used;
  const std::uint64_t block = cpu_memory_need(*weights.get()).kv_block_bytes;
  const engine_settings settings{.kv_bytes = 100 * block, .batch_tokens_max = 32};
  const cuda_settings cuda{.memory = {.pool_small_bytes = 1 << 20,
                                      .pool_medium_bytes = 1 << 20,
                                      .pool_large_bytes = 1 << 20,
                                      .reserve_bytes = 0}};
  const auto fit_in = [&](std::uint64_t mib) {
    the_played_device().bytes = before + (mib << 20);
    const auto fit = cuda_layers_that_fit(*weights.get(), settings, cuda);
    REQUIRE(fit.ok());
    return *fit;
  };
  CHECK(fit_in(100) == 0);  // scratch for spans takes 128
  CHECK(fit_in(1000) == 12);
  const std::uint32_t some = fit_in(160);
  CHECK(some > 2);
  CHECK(some < 12);
  engine_settings part = settings;
  part.layers = {0, some};
  part.kv_bytes = 100 * block / 12 * some;
  const auto made = make_cuda_stage(weights.get(), part, cuda);
  CHECK_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
  the_played_device().bytes = usual;
  CHECK(cuda_layers_that_fit(*weights.get(), settings, {.device = 3}).failure().code ==
        error_code::invalid_argument);
}
