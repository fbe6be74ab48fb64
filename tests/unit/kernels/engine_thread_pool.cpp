// The thread pool: every item once, whatever the sizes and however the phases follow one another.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kernels/backend/cpu/thread_pool.hpp"

using namespace troupe::kernels;

TEST_CASE("every item is done once, by a thread of the pool, before run returns") {
  for (const int threads : {1, 2, 3, 8}) {
    auto made = thread_pool::make(threads, {});
    REQUIRE(made.ok());
    thread_pool& pool = **made;
    CHECK(pool.threads() == static_cast<std::uint32_t>(threads));
    std::vector<int> done(300);  // plain: run() itself has to order the accesses
    for (std::uint32_t items = 0; items < 300; ++items) {
      std::atomic<bool> outside{false};
      pool.run(items, [&](std::uint32_t item, std::uint32_t thread) {
        if (thread >= pool.threads()) outside = true;
        ++done[item];
      });
      CHECK_FALSE(outside);
    }
    for (std::uint32_t item = 0; item < 300; ++item)
      CHECK(done[item] == static_cast<int>(299 - item));
  }
}

TEST_CASE("phases after a pause find the sleeping threads, and a slow item is waited for") {
  auto made = thread_pool::make(3, {});
  REQUIRE(made.ok());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(10 * thread_pool::spin_limit);
    std::atomic<int> done{0};
    (*made)->run(6, [&](std::uint32_t item, std::uint32_t) {
      if (item == 2) std::this_thread::sleep_for(10 * thread_pool::spin_limit);
      ++done;
    });
    CHECK(done == 6);
  }
}

TEST_CASE("counts and cores that this machine has not are refused") {
  CHECK_FALSE(thread_pool::make(0, {}).ok());
  CHECK_FALSE(thread_pool::make(thread_pool::threads_max + 1, {}).ok());
  const std::vector<int> far{100000}, below{-1};
  CHECK_FALSE(thread_pool::make(2, far).ok());
  CHECK_FALSE(thread_pool::make(2, below).ok());
}
