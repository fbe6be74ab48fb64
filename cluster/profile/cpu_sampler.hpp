// Which code this process's threads run, sampled by their own processor time.
//
// A timer for each thread, on that thread's clock, sends it SIGPROF 99 times in a second of that
// time; a thread that sleeps costs nothing and is not seen. The handler writes the stack into a
// slot of a buffer that was made before, with atomics alone; collect() empties the buffer. What
// found no free slot is counted. README.md says why this is safe in a signal.
//
// One sampling in a process at a time. Threading: all calls from one thread, which is not sampled.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::profile {

inline constexpr unsigned samples_per_second = 99;  // in step with nothing else that ticks
inline constexpr std::size_t sampled_frames_max = 96;
inline constexpr std::size_t sample_slots = 2048;  // between two calls of collect()
inline constexpr std::size_t sampled_threads_max = 4096;

struct cpu_sample {
  std::string_view thread;                 // its name
  std::string_view actor;                  // that it worked for; empty: none
  std::span<const std::uintptr_t> frames;  // innermost first: where it was, then return addresses
  bool cut = false;                        // there were more
};

struct thread_use {
  std::string name;
  std::uint64_t cpu_us = 0;  // while it was watched
  std::uint64_t samples = 0, dropped = 0;
};

class cpu_sampler {
 public:
  // already_exists: it samples already. unsupported: the kernel gives no such timers.
  static result<std::unique_ptr<cpu_sampler>> begin();
  virtual ~cpu_sampler() = default;  // ends it

  // Watches threads that have begun meanwhile: every 100 ms or so.
  virtual void look_for_threads() = 0;
  virtual void collect(const std::function<void(const cpu_sample&)>& take) = 0;
  // No sample comes after this; collect() once more for the last ones.
  virtual void end() = 0;
  virtual std::vector<thread_use> threads() const = 0;  // those that have ended as well
};

}  // namespace troupe::profile
