// One run of one seed: builds the cluster, plays the faults, heals, waits for the end, and hands
// over the history.
#pragma once

#include <functional>
#include <string>

#include "tests/sim/history.hpp"
#include "tests/sim/plan.hpp"

namespace troupe::sim {

using make_seam = std::function<std::unique_ptr<seam>()>;

struct run_result {
  sim::history history;
  std::uint64_t digest = 0;  // of everything that happened
  std::uint64_t actions = 0, frames = 0;
  time_us lasted = 0;
};

// trace: told of every event as it is recorded.
run_result run(const run_plan& plan, const make_seam& planted = {},
               const std::function<void(const event&)>& trace = {});

}  // namespace troupe::sim
