// A circuit breaker for each node that this gateway sends work to.
//
// Membership says who lives; this says who fails while it lives. What counts is what the node, or
// the wire to it, said or left unsaid about an attempt: not a death (the view tells that better),
// not a full queue (its load tells that), and nothing that is the job's own fault. Bounded by the
// nodes of the view. Threading: none; pure.
#pragma once

#include <map>
#include <string>

#include "actors/circuit_breaker.hpp"
#include "cluster/membership/membership_core.hpp"
#include "proto/monitoring.pb.h"

namespace troupe::cluster {

class node_breakers {
 public:
  node_breakers(std::uint32_t failures_to_open, back_off pauses, std::uint64_t seed)
      : failures_to_open_(failures_to_open), pauses_(pauses), draws_(seed) {}

  // Does an attempt's end as this error speak against the node?
  static bool counts(proto::Error::Code code);

  bool allows(const std::string& node, time_point_us now) const;
  void tried(const std::string& node, time_point_us now);
  void succeeded(const std::string& node);
  // True: it is open now, and was not before this failure.
  bool failed(const std::string& node, time_point_us now);
  void keep_only(const cluster_view& view);

  // Nothing where the node has not failed.
  void show(const std::string& node, time_point_us now, proto::NodeStatus& status) const;

 private:
  std::uint32_t failures_to_open_;
  back_off pauses_;
  seeded_draws draws_;
  std::map<std::string, circuit_breaker> breakers_;  // of those that failed last
};

}  // namespace troupe::cluster
