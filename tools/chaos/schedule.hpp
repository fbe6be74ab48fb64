// When what is done to whom: a pure function of plan and seed.
#pragma once

#include <vector>

#include "tools/chaos/plan.hpp"

namespace troupe::chaos {

struct fault {
  fault_kind kind = fault_kind::kill;
  std::string node;  // or client_name(); empty: Redis
  milliseconds begins{0}, ends{0};
  milliseconds step{0};  // of a clock
};

enum class care {
  ours,      // daemons that were started to be broken: of two nodes, one may be out
  somebody,  // a cluster that serves: never more than half, and never the last one that computes
};

// In order of begin; everything ends within the run. At no time is more than half of the nodes
// taken out: what would be too much begins later, or not at all. No two faults are on one node at a
// time.
std::vector<fault> schedule_of(const chaos_plan& plan, care taken = care::ours);

}  // namespace troupe::chaos
