#include "actors/shell/loop_lane.hpp"

#include <caf/actor_system.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <utility>

namespace troupe {

void loop_lane::exec_later(caf::resumable* actor) {
  {
    const std::lock_guard lock{guard_};
    if (!closed_) {
      ready_.push_back(actor);
      if (std::exchange(woken_, true)) return;
      actor = nullptr;
    }
  }
  if (actor)
    system().scheduler().enqueue(actor);
  else
    wake_();
}

void loop_lane::run() {
  std::vector<caf::resumable*> now;
  {
    const std::lock_guard lock{guard_};
    woken_ = false;
    now = std::exchange(ready_, {});
  }
  for (caf::resumable* actor : now) {
    // As a worker does: the reference that came with the actor goes on with it, or ends here.
    if (actor->resume(this, messages_max) == caf::resumable::resume_later)
      exec_later(actor);
    else
      caf::intrusive_ptr_release(actor);
  }
}

void loop_lane::close() {
  std::vector<caf::resumable*> left;
  {
    const std::lock_guard lock{guard_};
    closed_ = true;
    left = std::exchange(ready_, {});
  }
  for (caf::resumable* actor : left) system().scheduler().enqueue(actor);
}

}  // namespace troupe
