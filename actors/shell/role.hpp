// A role is what one actor does: a core and the outside world it acts on. No CAF here;
// shell/role_actor.hpp gives it a mailbox and a thread.
//
// Threading: all calls come from the actor's own thread, one at a time. Errors: bad input is
// answered by a message; a broken invariant throws or asserts, the actor then ends and its
// supervisor starts a fresh one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/core.hpp"

namespace troupe {

// What reaches a role beside envelopes: news from its node, and reports of work done on another
// thread.
struct role_event {
  virtual ~role_event() = default;
};
using role_event_ptr = std::shared_ptr<const role_event>;

// A node (or a client's session) is down: nothing more will come from it under this incarnation.
struct node_lost : role_event {
  explicit node_lost(std::string name, bool process_ended = false)
      : node(std::move(name)), died(process_ended) {}
  std::string node;
  bool died;  // as far as can be seen from here; false: silent, out of reach, or gone on purpose
};

// An actor of the own node was started afresh: what it held is gone.
struct actor_restarted : role_event {
  explicit actor_restarted(std::string name) : actor(std::move(name)) {}
  std::string actor;
};

// Puts an event into the role's own mailbox. Any thread; without effect once the actor has ended.
using notify_self = std::function<void(role_event_ptr)>;

class role {
 public:
  virtual ~role() = default;
  virtual void receive(const envelope_ptr& message, time_point_us now) = 0;
  virtual void notice(const role_event&, time_point_us) {}
  virtual void tick(time_point_us) {}
  // Work between messages: while has_work(), the shell calls work() after every message that has
  // already arrived.
  virtual bool has_work() const { return false; }
  virtual void work(time_point_us) {}
};

}  // namespace troupe
