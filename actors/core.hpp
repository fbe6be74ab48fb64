// What a core is: pure decisions. `step(event, now) -> effects`, no CAF, no sockets, no clock, no
// threads.
//
// A core's events are the envelopes of proto/envelope.proto, ticks, and what its shell reports back
// (a file was hashed, an engine made). Its effects are envelopes to post and role-specific commands
// to its shell. The shell and the simulator drive the same cores.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "proto/envelope.pb.h"

namespace troupe {

// Time since the process (or the simulation) began. Monotonic.
using time_point_us = std::chrono::microseconds;

using envelope_ptr = std::shared_ptr<const proto::Envelope>;

// Where an actor's messages leave: the same call whether the target is in this process or on
// another machine. Threading: any thread. Never blocks; what cannot be delivered is answered to the
// sender by Error UNAVAILABLE where a correlation was given, and counted.
class post_office {
 public:
  virtual ~post_office() = default;
  virtual void post(envelope_ptr message) = 0;
  // In this order, all to one actor of this node, which is woken once.
  virtual void post_together(std::vector<envelope_ptr> messages) {
    for (envelope_ptr& message : messages) post(std::move(message));
  }
};

// A fresh reply to `request`: sender and target swapped, correlation, attempt and trace carried
// over.
proto::Envelope reply_to(const proto::Envelope& request);

// The same with an error as payload.
envelope_ptr refuse(const proto::Envelope& request, proto::Error::Code code, std::string message,
                    std::string mend = {});
envelope_ptr refuse(const proto::Envelope& request, const error& why);

}  // namespace troupe
