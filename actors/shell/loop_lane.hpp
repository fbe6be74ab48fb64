// Runs idle actors on the thread of somebody else's loop, where what they say is wanted next:
// waking one thread for a message instead of two.
//
// wake() is called, on any thread, when there is something for run(), which the loop then calls
// soon. What is left when the lane is closed, and what comes after, goes to the scheduler, so that
// a loop may end before the actors. At most `messages_max` of an actor's messages at a time. Only
// for actors whose work is short, and for loops whose own work is. Threading: any thread; run() by
// several at once.
#pragma once

#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace troupe {

class loop_lane final : public caf::execution_unit {
 public:
  static constexpr std::size_t messages_max = 64;

  loop_lane(caf::actor_system& system, std::function<void()> wake)
      : caf::execution_unit(&system), wake_(std::move(wake)) {}
  ~loop_lane() override { close(); }

  void exec_later(caf::resumable* actor) override;
  void run();
  // The loop runs no more.
  void close();

 private:
  std::function<void()> wake_;
  std::mutex guard_;
  std::vector<caf::resumable*> ready_;
  bool woken_ = false;
  bool closed_ = false;
};

}  // namespace troupe
