// What leaves the KV store and comes back from host memory leaves every bit of an answer as it was,
// and nothing behind.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/property/actors/real_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;

TEST_CASE(
    "host memory: answers are those of an engine with room, whatever is dropped and restored") {
  std::uint64_t restored = 0, tokens = 0, dropped = 0, preempted = 0;
  CHECK(rc::check("conversations", [&] {
    inference_settings settings = random_settings();
    settings.kv = *rc::gen::element(kernels::kv_type::f16, kernels::kv_type::q8_0);
    const auto blocks = pick<std::uint32_t>(6, 11), places = pick<std::uint32_t>(1, 30);
    real_bench b{settings, small_engine(blocks, settings.kv), places};
    random_conversations all{b};
    for (int acts = pick(20, 80); acts > 0; --acts) {
      all.act();
      RC_ASSERT(b.use().kv_blocks_used <= blocks);
      RC_ASSERT(b.use().host_blocks_used <= places);
    }
    all.finish();
    check_turns(b, all, settings.kv);
    const engine_use use = b.use();
    RC_ASSERT(use.kv_blocks_used == 0u);
    RC_ASSERT(use.prefix_tokens_restored <= use.prefix_tokens_hit);
    RC_ASSERT(use.prefix_tokens_restored <= 16 * use.host_blocks_restored);
    restored += use.host_blocks_restored;
    tokens += use.prefix_tokens_restored;
    dropped += use.host_blocks_dropped;
    preempted += use.preemptions;
  }));
  CHECK(restored > 100);
  CHECK(tokens > 1000);
  CHECK(dropped > 50);
  CHECK(preempted > 0);
}

TEST_CASE("host memory: released conversations leave nothing in it") {
  std::uint64_t kept = 0;
  CHECK(rc::check("released", [&] {
    const inference_settings settings = random_settings();
    real_bench b{settings, small_engine(pick<std::uint32_t>(6, 11), settings.kv),
                 pick<std::uint32_t>(1, 40)};
    random_conversations all{b};
    for (int acts = pick(10, 40); acts > 0; --acts) all.act();
    all.finish();
    kept += b.use().host_blocks_used;
    all.release_all();
    RC_ASSERT(b.use().host_blocks_used == 0u);
    RC_ASSERT(b.use().kv_blocks_reusable == 0u);
    RC_ASSERT(b.core.prefixes(1000).empty());
    b.finish();
  }));
  CHECK(kept > 100);
}
