// Faults carried out in time, by whoever has the means.
#pragma once

#include <atomic>
#include <vector>

#include "tools/chaos/report.hpp"
#include "tools/chaos/workload.hpp"

namespace troupe::chaos {

// What is done to nodes and to Redis; clients are the workload's.
class fault_hands {
 public:
  virtual ~fault_hands() = default;
  // False: it was not done, and is not to be ended.
  virtual bool begin(const fault& what) = 0;
  virtual void end(const fault& what) = 0;
};

// Whatever was begun is ended, also where the run ends early.
std::vector<fault_story> carry_out(const std::vector<fault>& faults, milliseconds lasts,
                                   fault_hands& hands, workload& load,
                                   std::chrono::steady_clock::time_point began,
                                   const std::atomic<bool>& ended);

// A whole run: the load begins, the faults come and go, each client asks once more when all is well
// again. Fills in the report's jobs, faults and times.
void carry_out_under_load(const std::vector<fault>& faults, fault_hands& hands, workload& load,
                          const std::atomic<bool>& ended, run_report& report);

}  // namespace troupe::chaos
