// How far the wall clock of one process is off: a small file that `troupe chaos` writes and the
// preloaded clock of a daemon (preloaded_clock.cpp) reads, both through shared memory.
#pragma once

#include <atomic>
#include <cstdint>

namespace troupe::chaos {

inline constexpr const char* stepped_clock_variable = "CHAOS_CLOCK_FILE";

struct stepped_clock {
  std::atomic<std::int64_t> step_us;  // what is added to the real time
  std::atomic<std::uint64_t> reads;   // of a clock that was off: a step that nobody saw is none
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

}  // namespace troupe::chaos
