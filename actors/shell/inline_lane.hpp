// Runs an idle actor on the thread that brings it a message, instead of waking a worker for it: a
// wake-up of another core costs more than what such an actor does with a message.
//
// Messages put into a mailbox through a lane (role_handle::deliver) run at the next run(), at most
// `messages_max` for each actor; what is left, and what those actors set off, goes to the
// scheduler. An actor that a worker runs already, and a detached one, are left to their own thread.
// Only for actors whose work is short: they hold the lane's thread meanwhile. Threading: one
// thread, never from inside an actor.
#pragma once

#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>
#include <cstddef>
#include <vector>

namespace troupe {

class inline_lane final : public caf::execution_unit {
 public:
  static constexpr std::size_t messages_max = 64;

  explicit inline_lane(caf::actor_system& system) : caf::execution_unit(&system) {}
  void exec_later(caf::resumable* actor) override;
  void run();

 private:
  std::vector<caf::resumable*> ready_;
  bool running_ = false;
};

}  // namespace troupe
