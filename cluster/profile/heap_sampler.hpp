// What is allocated and stays: a sample of allocations, each with its stack, while it lives.
//
// A program's own operator new and delete call watched() and forgotten() (tools/heap_operators.cpp;
// the daemon alone has them). Off, that is one load and a branch that is never taken. On, a thread
// samples one allocation in 512 KiB of what it allocates, at distances as of a Poisson process, so
// that each sample stands for a known number of bytes. Threading: watched() and forgotten() from
// any thread, never from a signal; one sampling at a time, begun and ended from one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::profile {

inline constexpr double heap_bytes_between = 512 * 1024;  // two samples, on average
inline constexpr std::size_t heap_samples_max = 12'288;   // alive at once
inline constexpr std::size_t heap_frames_max = 48;

namespace heap {
inline std::atomic<bool> on{false};
inline std::atomic<bool> operators_here{false};  // this program's call watched() and forgotten()
void take_in(void* memory, std::size_t bytes) noexcept;
void let_go(void* memory) noexcept;

inline void* watched(void* memory, std::size_t bytes) noexcept {
  if (on.load(std::memory_order_relaxed)) [[unlikely]]
    take_in(memory, bytes);
  return memory;
}
inline void forgotten(void* memory) noexcept {
  if (on.load(std::memory_order_relaxed)) [[unlikely]]
    let_go(memory);
}
}  // namespace heap

struct heap_sample {
  std::uint64_t bytes = 0;    // that it stands for
  std::vector<void*> frames;  // innermost first, the allocation's own functions among them
};

struct heap_samples {
  std::vector<heap_sample> alive;
  std::uint64_t taken = 0, dropped = 0;
};

// already_exists: it samples already. unsupported: this program's operators do not tell.
status begin_heap_sampling();
heap_samples end_heap_sampling();

}  // namespace troupe::profile
