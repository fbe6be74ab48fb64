// What recording costs: nanoseconds for each thing that is recorded, on this machine, one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::cluster {

struct recording_cost {
  std::string what;      // "a job's step, told"
  std::string when;      // "8 to 12 times a job"
  double median_ns = 0;  // over rounds
  double spread_ns = 0;  // between the slowest and the fastest round
};

// rounds of `times` recordings each; 1 or more of both.
std::vector<recording_cost> bench_monitoring(std::uint32_t rounds, std::uint32_t times);

}  // namespace troupe::cluster
