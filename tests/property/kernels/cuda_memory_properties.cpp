// Random histories of the device's memory pools and of KV compaction.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/backend/cuda/kv_compaction.hpp"
#include "tests/unit/kernels/cuda_played_memory.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::cuda;
using troupe::kernels::testing::played_memory;

TEST_CASE(
    "memory pools: pieces never overlap, lie in memory that was taken, and all of it returns") {
  const bool held = rc::check([] {
    constexpr std::uint64_t mib = 1 << 20;
    played_memory device(600 * mib);
    {
      memory_pools pools({.pool_small_bytes = 4 * mib,
                          .pool_medium_bytes = 100 * mib,
                          .pool_large_bytes = 200 * mib,
                          .reserve_bytes = 50 * mib,
                          .model_bytes_max = 400 * mib},
                         device);
      std::map<device_address, std::uint64_t> pieces;
      std::uint64_t used = 0;
      const int steps = *rc::gen::inRange(1, 80);
      for (int i = 0; i < steps; ++i) {
        if (!pieces.empty() && *rc::gen::inRange(0, 3) == 0) {
          auto it = pieces.begin();
          std::advance(it, *rc::gen::inRange<std::size_t>(0, pieces.size()));
          pools.release(it->first);
          used -= (it->second + 255) / 256 * 256;
          pieces.erase(it);
        } else {
          const std::uint64_t bytes = *rc::gen::inRange<std::uint64_t>(1, 1000)
                                      << *rc::gen::inRange(0, 18);
          const auto at = pools.allocate(bytes, "m");
          if (!at) {
            RC_ASSERT(at.failure().code == troupe::error_code::resource_exhausted);
            continue;
          }
          RC_ASSERT(*at % 256 == 0);
          RC_ASSERT(device.holds(*at, bytes));
          const auto next = pieces.lower_bound(*at);
          RC_ASSERT(next == pieces.end() || *at + bytes <= next->first);
          if (next != pieces.begin()) {
            const auto before = std::prev(next);
            RC_ASSERT(before->first + before->second <= *at);
          }
          pieces.emplace(*at, bytes);
          used += (bytes + 255) / 256 * 256;
        }
        RC_ASSERT(pools.used_by("m") == used);
        RC_ASSERT(used <= 400 * mib);
        RC_ASSERT(device.free_bytes() >= 50 * mib);
        for (const pool_size of : {pool_size::small, pool_size::medium, pool_size::large}) {
          const double f = pools.state(of).fragmentation();
          RC_ASSERT(f >= 0 && f < 1);
        }
      }
      for (const auto& [at, bytes] : pieces) pools.release(at);
      pools.trim();
      RC_ASSERT(device.free_bytes() == 600 * mib);
    }
  });
  CHECK(held);
}

TEST_CASE("kv compaction: the used blocks survive, each moves once, and the limit is reached") {
  const bool held = rc::check([] {
    const auto used = *rc::gen::container<std::vector<bool>>(rc::gen::arbitrary<bool>());
    const double limit = *rc::gen::element(0.01, 0.15, 0.5);
    std::vector<bool> now = used;
    for (const kv_move& m : plan_compaction(used, limit)) {
      RC_ASSERT(used[m.from] && now[m.from] && !now[m.to] && !used[m.to]);
      now[m.from] = false;
      now[m.to] = true;
    }
    RC_ASSERT(std::count(now.begin(), now.end(), true) ==
              std::count(used.begin(), used.end(), true));
    RC_ASSERT(kv_fragmentation(now) < limit);
  });
  CHECK(held);
}
