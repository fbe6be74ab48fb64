#include "kernels/backend/cpu/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <string>
#include <system_error>

namespace troupe::kernels {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True as soon as `ready` is; false when the limit has passed.
template <class Ready>
bool spin_until(Ready ready) {
  using clock = std::chrono::steady_clock;
  if (ready()) return true;
  const clock::time_point end = clock::now() + thread_pool::spin_limit;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (clock::now() < end);
  return false;
}

status pin(std::thread& thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core >= 0 && core < CPU_SETSIZE) CPU_SET(core, &set);
  if (CPU_COUNT(&set) == 0 || pthread_setaffinity_np(thread.native_handle(), sizeof set, &set) != 0)
    return error{error_code::invalid_argument,
                 "no thread can be pinned to core " + std::to_string(core),
                 "name cores that this process may use"};
  return {};
}

}  // namespace

result<std::unique_ptr<thread_pool>> thread_pool::make(int threads, std::span<const int> cores) {
  if (threads < 1 || threads > threads_max)
    return error{error_code::invalid_argument, std::to_string(threads) + " threads were asked for",
                 "1 to " + std::to_string(threads_max) + " are allowed"};
  std::unique_ptr<thread_pool> pool(new thread_pool);
  try {
    pool->workers_.reserve(static_cast<std::size_t>(threads) - 1);
    for (int i = 1; i < threads; ++i) {
      pool->workers_.emplace_back([p = pool.get(), i] { p->serve(static_cast<std::uint32_t>(i)); });
      ::pthread_setname_np(pool->workers_.back().native_handle(), "compute");
    }
  } catch (const std::system_error& e) {
    return error{error_code::resource_exhausted,
                 "thread " + std::to_string(pool->workers_.size() + 1) + " of " +
                     std::to_string(threads) + " could not be started: " + e.what(),
                 "use fewer threads"};
  }
  if (!cores.empty())
    for (std::size_t i = 0; i < pool->workers_.size(); ++i)
      if (status pinned = pin(pool->workers_[i], cores[(i + 1) % cores.size()]); !pinned)
        return pinned.failure();
  return pool;
}

thread_pool::~thread_pool() {
  ending_.store(true);
  {
    const std::lock_guard lock(mutex_);
    work_came_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

bool thread_pool::work_or_end() const {
  return (ticket_.load() & 0xffffffffu) != 0 || ending_.load();
}

void thread_pool::wake_sleepers() {
  // A sleeper counts itself before it looks at the ticket once more, and the ticket was written
  // before this look at the count: one of the two sees the other.
  if (sleepers_.load() == 0) return;
  const std::lock_guard lock(mutex_);
  work_came_.notify_all();
}

void thread_pool::take_items(std::uint32_t thread) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while ((ticket & 0xffffffffu) != 0) {
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire))
      continue;
    // The phase cannot end before this item is counted as done, so its fields stay as they are.
    const std::uint32_t items = items_;
    function_(context_, items - static_cast<std::uint32_t>(ticket & 0xffffffffu), thread);
    if (done_.fetch_add(1) + 1 == items && caller_sleeps_.load()) {
      const std::lock_guard lock(mutex_);
      work_done_.notify_one();
    }
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void thread_pool::serve(std::uint32_t thread) {
  while (!ending_.load(std::memory_order_relaxed)) {
    take_items(thread);
    if (spin_until([this] { return work_or_end(); })) continue;
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1);
    work_came_.wait(lock, [this] { return work_or_end(); });
    sleepers_.fetch_sub(1);
  }
}

void thread_pool::run_phase(std::uint32_t items, phase_function function, void* context) {
  if (items <= 1 || workers_.empty()) {
    for (std::uint32_t item = 0; item < items; ++item) function(context, item, 0);
    return;
  }
  function_ = function;
  context_ = context;
  items_ = items;
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(std::uint64_t{++phase_} << 32 | items);
  wake_sleepers();
  take_items(0);
  if (spin_until([&] { return done_.load(std::memory_order_acquire) == items; })) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_.store(true);
  work_done_.wait(lock, [&] { return done_.load() == items; });
  caller_sleeps_.store(false);
}

}  // namespace troupe::kernels
