// The CAF shell of every role: a mailbox of envelopes, a tick, a gauge. It decides nothing.
//
// An exception from the role ends the actor (it is logged, and monitors get their down message);
// its supervisor starts a fresh one. Messages that lay in the mailbox are lost with it and count as
// handled.
#pragma once

#include <caf/all.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/shell/gauge.hpp"
#include "actors/shell/inline_lane.hpp"
#include "actors/shell/loop_lane.hpp"
#include "actors/shell/role.hpp"

using troupe_envelope_batch = std::vector<troupe::envelope_ptr>;
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::envelope_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe_envelope_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::role_event_ptr)

namespace troupe {

struct role_plan {
  std::string name;                                        // "inference"
  std::function<std::unique_ptr<role>(notify_self)> make;  // called once, on the actor's own thread
  std::chrono::milliseconds tick_every{100};
  std::shared_ptr<actor_gauge> gauge;
  std::uint64_t mailbox_max = 0;  // deliver() refuses past this depth; 0: no bound
  bool detached = false;          // own thread: for roles that compute or block
};

// A running role, as its node holds it. Copyable; any thread may deliver.
class role_handle {
 public:
  role_handle() = default;
  role_handle(caf::actor actor, std::shared_ptr<actor_gauge> gauge, std::uint64_t mailbox_max)
      : actor_(std::move(actor)), gauge_(std::move(gauge)), mailbox_max_(mailbox_max) {}

  // False: the actor has ended or its mailbox is full. Nothing was delivered; the caller answers
  // the sender.
  // lane: where an idle actor runs at the lane's next run(); null: on a worker.
  bool deliver(envelope_ptr message, caf::execution_unit* lane = nullptr) const;
  bool deliver(std::vector<envelope_ptr> messages, caf::execution_unit* lane = nullptr) const;
  bool deliver(role_event_ptr event) const;
  // Asks the actor to end; a detached one ends its thread after the message at hand.
  void stop() const;

  const caf::actor& actor() const { return actor_; }
  const std::shared_ptr<actor_gauge>& gauge() const { return gauge_; }
  explicit operator bool() const { return static_cast<bool>(actor_); }

 private:
  bool accept(std::uint64_t count) const;
  caf::actor actor_;
  std::shared_ptr<actor_gauge> gauge_;
  std::uint64_t mailbox_max_ = 0;
};

role_handle spawn_role(caf::actor_system& system, role_plan plan);

}  // namespace troupe
