// Holds a history against what is promised. Knows nothing of how the run was made.
//
//   J1 no job is lost            J2 an end is write-once, seen alike by all
//   J3 streams without a gap     J4 all see the same token at (job, index)
//   J5 nothing out of nothing    J6 the running hash holds
//   J7 the answer is the right one, to the byte
//   J8 fencing                   J9 a stream begins, goes on and ends, in that order
//   J10 executions are bounded   J11 after a cancellation nothing more comes
//   J12 everything is given back, no stream gets more than its credit
//   J13 after the heal everything ends in time, and well
//   J14 no node is called lost for a silence that only one other node hears
//   J15 at the end each node's view of each other one is true
//
// A run that put too little at risk proves nothing: it is invalid, whatever it looks like.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/history.hpp"

namespace troupe::sim {

struct violation {
  std::string property;  // "J7"
  std::string about;
};

struct verdict {
  std::vector<violation> violations;
  std::string invalid;  // why the run says nothing; empty: it is valid
  std::uint32_t answers = 0, failures = 0, faults = 0, at_risk = 0;
};

verdict check(const history& h);

}  // namespace troupe::sim
