// KV blocks on their way beside the steps, on the played device: there a stream's work runs as late
// as it can, so that a wait that is missing shows as another byte.
#include <doctest/doctest.h>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"
#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/played_runtime.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;
using namespace troupe::kernels::cuda;

namespace {

using bytes = std::vector<std::uint8_t>;

struct copying_engine : both_engines {
  copying_engine() : both_engines({}, {.batch_tokens_max = 64}) {}
  kv_copies& copies() { return static_cast<cuda_engine&>(*on_gpu).copies(); }
  std::size_t block_bytes() const {
    return on_gpu->description().kv_bytes / on_gpu->description().kv_blocks;
  }
  // What the block holds now.
  bytes content(block_id block) {
    bytes host(block_bytes());
    const auto copy = copies().take_out(block, host.data());
    REQUIRE(copy.ok());
    REQUIRE(copies().wait(*copy).ok());
    return host;
  }
  bool passed(kv_copy copy) {
    const auto told = copies().passed(copy);
    REQUIRE(told.ok());
    return *told;
  }
};

sequence_step step_of(std::span<const token_id> tokens, std::uint32_t position,
                      std::span<const block_id> blocks) {
  return {.tokens = tokens, .position = position, .blocks = blocks};
}

struct one_store {
  one_store() : weights(recipe{.layers = 3}) {
    auto opened = device::open(small_device);
    REQUIRE(opened.ok());
    on = *opened;
    auto made = stream::make();
    REQUIRE(made.ok());
    work = std::move(*made);
    auto kv = cuda_kv::make(weights.get()->shape, kv_type::f16, 0, *on, *work, "test");
    REQUIRE(kv.ok());
    store = std::move(*kv);
    auto both = kv_copies::make(*store, *work);
    REQUIRE(both.ok());
    copies = std::move(*both);
  }
  bytes filled(std::uint8_t with) const { return bytes(store->block_bytes(), with); }

  random_model weights;
  std::shared_ptr<device> on;
  std::unique_ptr<stream> work;
  std::unique_ptr<cuda_kv> store;
  std::unique_ptr<kv_copies> copies;
};

struct early_device {
  early_device() { the_played_device().late = false; }
  ~early_device() { the_played_device().late = true; }
};

const std::vector<block_id> block_3{3}, block_7{7}, blocks_3_4{3, 4};

}  // namespace

TEST_CASE("played GPU: work that runs at once gives the same bits as work that runs late") {
  const early_device early;
  compare_engines({}, kv_type::f16);
  compare_decoding(kv_type::q8_0);
  CHECK(operations_waiting() == 0);
}

TEST_CASE("played GPU: a block is taken out as the last step left it, whatever comes next") {
  copying_engine both;
  const std::vector<token_id> one = tokens_of(16, 1), other = tokens_of(16, 2);
  const sequence_step first = step_of(one, 0, block_3), second = step_of(other, 0, block_3);
  CHECK(both.differences({&first, 1}) == 0);
  const bytes left = both.content(3);
  bytes out(left.size());
  const auto copy = both.copies().take_out(3, out.data());
  REQUIRE(copy.ok());
  CHECK(both.differences({&second, 1}) == 0);  // it waits, since it writes the block
  CHECK(both.passed(*copy));
  CHECK(out == left);
  CHECK(both.content(3) != left);
}

TEST_CASE("played GPU: a step reads what was brought in before it") {
  copying_engine both;
  const std::vector<token_id> prompt = tokens_of(20, 1), other = tokens_of(16, 2),
                              next = tokens_of(1, 3);
  const sequence_step first = step_of(prompt, 0, blocks_3_4);
  CHECK(both.differences({&first, 1}) == 0);
  const bytes kept = both.content(3);
  const sequence_step overwrites = step_of(other, 0, block_3);
  REQUIRE(both.on_gpu->step({&overwrites, 1}).ok());
  CHECK(both.content(3) != kept);
  const auto copy = both.copies().bring_in(3, kept.data());
  REQUIRE(copy.ok());
  CHECK_FALSE(both.passed(*copy));
  const sequence_step decode = step_of(next, 20, blocks_3_4);
  CHECK(both.differences({&decode, 1}) == 0);
  CHECK(both.passed(*copy));
}

TEST_CASE("played GPU: a step waits for no copy that it does not meet") {
  copying_engine both;
  const std::vector<token_id> prompt = tokens_of(20, 1), next = tokens_of(1, 3);
  const sequence_step first = step_of(prompt, 0, blocks_3_4);
  CHECK(both.differences({&first, 1}) == 0);
  bytes out(both.block_bytes()), in(both.block_bytes());
  const auto read = both.copies().take_out(3, out.data());  // the step reads it too
  const auto unused = both.copies().bring_in(7, in.data());
  REQUIRE((read.ok() && unused.ok()));
  const sequence_step decode = step_of(next, 20, blocks_3_4);
  CHECK(both.differences({&decode, 1}) == 0);
  CHECK_FALSE(both.passed(*read));
  CHECK(operations_waiting() > 0);
  const sequence_step meets = step_of(next, 0, block_7);  // writes it
  CHECK(both.differences({&meets, 1}) == 0);
  CHECK(both.passed(*unused));
  CHECK(both.passed(*read));  // it was before
}

TEST_CASE("played GPU: a copy waits for what was launched before it") {
  one_store here;
  const bytes first = here.filled(1), second = here.filled(2);
  bytes read = here.filled(0), out = here.filled(0);
  REQUIRE(here.store->copy_in(5, first.data(), *here.work).ok());  // as a step would write
  const auto taken = here.copies->take_out(5, out.data());
  REQUIRE(taken.ok());
  REQUIRE(here.copies->wait(*taken).ok());
  CHECK(out == first);
  REQUIRE(here.store->copy_out(5, read.data(), *here.work).ok());  // as a step would read
  const auto brought = here.copies->bring_in(5, second.data());
  REQUIRE(brought.ok());
  REQUIRE(here.copies->wait(*brought).ok());
  CHECK(read == first);
}

TEST_CASE("played GPU: copies pass in order; too many, and blocks outside, are refused") {
  std::vector<bytes> host(kv_copies::running_max + 1);  // outlives the copies
  one_store here;
  for (bytes& one : host) one = here.filled(0);
  std::vector<kv_copy> copies;
  for (std::size_t i = 0; i < kv_copies::running_max; ++i) {
    const auto made = here.copies->take_out(static_cast<block_id>(i % 8), host[i].data());
    REQUIRE(made.ok());
    copies.push_back(*made);
  }
  const auto refused = here.copies->take_out(0, host.back().data());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == troupe::error_code::resource_exhausted);
  REQUIRE(here.copies->wait(copies[9]).ok());
  CHECK(*here.copies->passed(copies[9]));
  CHECK(*here.copies->passed(copies[0]));
  CHECK_FALSE(*here.copies->passed(copies[10]));
  CHECK(here.copies->take_out(0, host.back().data()).ok());
  const auto outside = here.copies->bring_in(here.store->blocks(), host[0].data());
  REQUIRE_FALSE(outside.ok());
  CHECK(outside.failure().code == troupe::error_code::invalid_argument);
}
