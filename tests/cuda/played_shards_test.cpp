// A part of every matrix on each of several played GPUs: the bits of the whole.
#include <doctest/doctest.h>

#include "tests/cuda/played_nccl.hpp"
#include "tests/cuda/played_runtime.hpp"
#include "tests/cuda/spread_cases.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;
using troupe::error_code;

namespace {

cuda_settings shards_on(std::vector<int> devices) {
  cuda_settings out = on(std::move(devices));
  out.spread = gpu_spread::tensors;
  return out;
}

troupe::error refusal(const recipe& from, const engine_settings& settings,
                      const cuda_settings& cuda) {
  const random_model weights{from};
  const auto made = make_cuda_engine(weights.get(), settings, cuda);
  REQUIRE_FALSE(made.ok());
  return made.failure();
}

}  // namespace

TEST_CASE("played GPUs: a part of every matrix on each of two has the CPU engine's bits") {
  const several_gpus two(2);
  const std::size_t before = the_played_device().bytes_used;
  std::size_t compared = 0;
  for (recipe from : engine_recipes) {
    if (from.heads_kv % 2 != 0) continue;
    from.context = 512;
    compare_spread(from, shards_on({0, 1}), kv_type::f16);
    ++compared;
  }
  CHECK(compared >= 5);
  CHECK(the_played_device().bytes_used == before);
  CHECK(the_played_nccl().members == 0);
}

TEST_CASE("played GPUs: three and four parts, and a vocabulary that no part divides") {
  const several_gpus four(4);
  compare_spread(recipe{.embedding = 96, .heads = 6, .heads_kv = 3, .vocabulary = 83, .seed = 5},
                 shards_on({2, 0, 1}), kv_type::q8_0);
  for (const bool tied : {false, true})
    compare_spread(recipe{.embedding = 128,
                          .feed_forward = 256,
                          .heads = 8,
                          .heads_kv = 4,
                          .vocabulary = 81,
                          .type = tensor_type::q8_0,
                          .tied = tied},
                   shards_on({0, 1, 2, 3}), kv_type::f16);
}

TEST_CASE("played GPUs: in the class of the tensor cores parts have the bits of one GPU") {
  const several_gpus two(2);
  for (const recipe& from : engine_recipes) {
    if (from.heads_kv % 2 != 0) continue;
    const random_model weights{from};
    cuda_settings whole = small_device, parts = shards_on({0, 1});
    whole.numerics = parts.numerics = gpu_numerics::tensor;
    auto on_one = make_cuda_engine(weights.get(), {}, whole);
    auto on_two = make_cuda_engine(weights.get(), {}, parts);
    REQUIRE(on_one.ok());
    REQUIRE_MESSAGE(on_two.ok(), (on_two.ok() ? "" : on_two.failure().text()));
    CHECK((*on_one)->description().numerics_class == (*on_two)->description().numerics_class);
    const std::vector<token_id> prompt = tokens_of(37, 1);
    const std::vector<block_id> blocks{3, 1, 2};
    const sequence_step step{
        .tokens = prompt, .position = 0, .blocks = blocks, .all_logits = true, .hidden = true};
    const auto expected = (*on_one)->step({&step, 1}), given = (*on_two)->step({&step, 1});
    REQUIRE(expected.ok());
    REQUIRE(given.ok());
    CHECK(both_engines::unlike(expected->values, given->values) == 0);
    CHECK(both_engines::unlike(expected->hidden, given->hidden) == 0);
  }
}

TEST_CASE("played GPUs: parts gather four times a layer and once for logits, recorded or not") {
  const several_gpus two(2);
  for (const std::uint32_t graphs : {32u, 0u}) {
    cuda_settings cuda = shards_on({0, 1});
    cuda.graphs_max = graphs;
    both_engines both(recipe{.layers = 3}, {.kv_bytes = 0}, cuda);
    const std::vector<block_id> blocks{4, 1};
    for (std::uint32_t i = 0; i < 6; ++i) {
      const std::vector<token_id> token = tokens_of(1, i);
      const sequence_step step{.tokens = token, .position = i, .blocks = blocks};
      const std::size_t before = the_played_nccl().gathered;
      CHECK(both.differences({&step, 1}) == 0);
      CHECK(the_played_nccl().gathered - before == 3 * 4 + 1);
    }
    CHECK(both.on_gpu->counters().steps == 6);
    CHECK((both.on_gpu->counters().steps_replayed > 0) == (graphs > 0));
  }
}

TEST_CASE("played GPUs: parts say what they are together, and take blocks alike") {
  const several_gpus two(2);
  const random_model weights{recipe{.layers = 4}};
  const std::uint64_t block = cpu_memory_need(*weights.get()).kv_block_bytes;
  auto made =
      make_cuda_engine(weights.get(), {.kv_bytes = 20 * block + block / 2}, shards_on({0, 1}));
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
  auto whole = make_cuda_engine(weights.get(), {.kv_bytes = 20 * block}, small_device);
  REQUIRE(whole.ok());
  const engine_description &d = (*made)->description(), &of_one = (*whole)->description();
  CHECK(d.backend == "cuda");
  CHECK(d.numerics_class == "cuda-sm90-1");
  CHECK(d.kv_blocks == 20);
  CHECK(d.kv_bytes == 20 * block);
  // The embedding and the norms are on both.
  const std::uint64_t twice = (64 * 80 + 9 * 64) * sizeof(float);
  CHECK(d.weight_bytes == of_one.weight_bytes + twice);
}

TEST_CASE("played GPUs: a step that one of them has no memory for is refused, the next one runs") {
  const several_gpus two(2);
  cuda_settings cuda = shards_on({0, 1});
  cuda.memory.pool_small_bytes = 1 << 16;  // so that a large step must take more
  both_engines both({}, {.kv_bytes = 0, .batch_tokens_max = 256}, cuda);
  std::vector<block_id> blocks(16);
  std::iota(blocks.begin(), blocks.end(), 0u);
  const std::vector<token_id> few = tokens_of(3, 1), many = tokens_of(200, 2);
  const sequence_step small{.tokens = few, .position = 0, .blocks = blocks};
  const sequence_step large{.tokens = many, .position = 0, .blocks = blocks, .all_logits = true};
  CHECK(both.differences({&small, 1}) == 0);
  const std::size_t usual = the_played_device().bytes;
  the_played_device().bytes = the_played_device().bytes_used;
  const auto refused = both.on_gpu->step({&large, 1});
  the_played_device().bytes = usual;
  if (!refused.ok()) CHECK(refused.failure().code == error_code::resource_exhausted);
  CHECK_FALSE(refused.ok());
  CHECK(both.differences({&small, 1}) == 0);
  CHECK(both.differences({&large, 1}) == 0);
  const sequence_step outside{.tokens = few, .position = 511, .blocks = blocks};
  CHECK_FALSE(both.on_gpu->step({&outside, 1}).ok());
  CHECK(both.differences({&small, 1}) == 0);
  CHECK(both.on_gpu->step({}).ok());
}

TEST_CASE("played GPUs: what cannot be cut into parts is refused, and says how to mend it") {
  const several_gpus three(3);
  const auto code = [&](const recipe& from, std::vector<int> devices) {
    return refusal(from, {}, shards_on(std::move(devices))).code;
  };
  CHECK(code({}, {0, 1, 2}) == error_code::unsupported);  // 2 heads of keys
  CHECK(code({.heads_kv = 1}, {0, 1}) == error_code::unsupported);
  CHECK(code({.feed_forward = 97}, {0, 1}) == error_code::unsupported);
  CHECK(code({.vocabulary = 4}, {0, 1}) == error_code::unsupported);
  CHECK(code({}, {0, 0}) == error_code::invalid_argument);
  CHECK(code({}, {0, 7}) == error_code::invalid_argument);
  CHECK(refusal({}, {.kv_bytes = 1}, shards_on({0, 1})).code == error_code::resource_exhausted);
  CHECK(refusal({.heads_kv = 1}, {}, shards_on({0, 1})).text().find("gpu.spread") !=
        std::string::npos);
  the_played_nccl().code = 5;
  const troupe::error why = refusal({}, {}, shards_on({0, 1}));
  the_played_nccl().code = 0;
  CHECK(why.code == error_code::unsupported);
  CHECK(why.text().find("NCCL says 5") != std::string::npos);
  CHECK(the_played_nccl().members == 0);
}
