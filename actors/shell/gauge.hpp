// What an actor shows of itself without being asked: counters that its shell and its senders write
// and monitoring reads.
//
// Threading: every member may be read and written from any thread. A gauge outlives the actor: a
// restarted actor goes on with the same one.
#pragma once

#include <atomic>
#include <cstdint>

namespace troupe {

struct actor_gauge {
  std::atomic<std::uint64_t> enqueued{0};  // messages put into the mailbox
  std::atomic<std::uint64_t> handled{0};   // messages taken out of it, or lost with it
  std::atomic<std::uint64_t> dropped{0};   // refused because the mailbox was full
  std::atomic<std::uint64_t> busy_us{0};   // time spent in the role
  std::atomic<std::uint32_t> restarts{0};  // written by the supervisor
  std::atomic<bool> alive{false};

  std::uint64_t mailbox_depth() const {
    const std::uint64_t out = handled.load(std::memory_order_acquire);
    const std::uint64_t in = enqueued.load(std::memory_order_acquire);
    return in > out ? in - out : 0;
  }
};

}  // namespace troupe
