#include "actors/shell/inline_lane.hpp"

#include <caf/actor_system.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

namespace troupe {

void inline_lane::exec_later(caf::resumable* actor) {
  if (running_)
    system().scheduler().enqueue(actor);
  else
    ready_.push_back(actor);
}

void inline_lane::run() {
  running_ = true;
  for (caf::resumable* actor : ready_) {
    // As a worker does: the reference that came with the actor goes on with it, or ends here.
    if (actor->resume(this, messages_max) == caf::resumable::resume_later)
      system().scheduler().enqueue(actor);
    else
      caf::intrusive_ptr_release(actor);
  }
  ready_.clear();
  running_ = false;
}

}  // namespace troupe
