// Threads that share one phase of work after another: run() hands out item numbers until none is
// left, and the caller takes part.
//
// Invariants: run() waits for items that were taken, never for threads that took none: where other
// programs hold the cores, the caller does the work itself. Idle threads and a waiting caller spin
// for spin_limit and then sleep, so that a busy machine loses little and a phase that follows
// closely starts without a system call. Threading: one thread at a time calls run(). The destructor
// joins.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::kernels {

class thread_pool {
 public:
  static constexpr int threads_max = 1024;
  static constexpr std::chrono::microseconds spin_limit{40};

  // threads >= 1 counts the caller, so threads - 1 are started; the i-th of them is pinned to
  // cores[i % size], the caller is left alone. Errors: invalid_argument (a count or a core that
  // this machine has not), resource_exhausted.
  static result<std::unique_ptr<thread_pool>> make(int threads, std::span<const int> cores);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  std::uint32_t threads() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  // Calls work(item, thread) once for each item of 0 .. items - 1, rising; thread < threads().
  // Returns when all are done. work must not throw.
  template <class Work>
  void run(std::uint32_t items, Work&& work) {
    using plain = std::remove_reference_t<Work>;
    run_phase(
        items,
        [](void* context, std::uint32_t item, std::uint32_t thread) {
          (*static_cast<plain*>(context))(item, thread);
        },
        const_cast<void*>(static_cast<const void*>(&work)));
  }

 private:
  using phase_function = void (*)(void* context, std::uint32_t item, std::uint32_t thread);

  thread_pool() = default;
  void run_phase(std::uint32_t items, phase_function function, void* context);
  void take_items(std::uint32_t thread);
  void serve(std::uint32_t thread);
  bool work_or_end() const;
  void wake_sleepers();

  // Written by the caller before it opens a phase; read by a thread that has taken an item of that
  // phase.
  phase_function function_ = nullptr;
  void* context_ = nullptr;
  std::uint32_t items_ = 0;
  std::uint32_t phase_ = 0;

  alignas(64) std::atomic<std::uint64_t> ticket_{0};  // phase number << 32 | items not yet taken
  alignas(64) std::atomic<std::uint32_t> done_{0};    // items of this phase that are finished
  alignas(64) std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::condition_variable work_came_;
  std::condition_variable work_done_;
  std::vector<std::thread> workers_;
};

}  // namespace troupe::kernels
