// What one seed stands for: the cluster, its jobs, and what is done to it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/network.hpp"
#include "tests/sim/node.hpp"

namespace troupe::sim {

struct job_plan {
  known_job job;
  std::size_t client = 0;
  time_us starts = 0;
  std::uint32_t window = 16;                               // credit
  std::uint32_t reads_per_tick = 8;                        // tokens, every client_tick
  std::optional<std::uint32_t> cancel_after, leave_after;  // so many tokens
  bool asks_twice = false, conflicts = false, reads_again = false;
  std::uint32_t deadline_ms = 0;
};

enum class fault_kind {
  kill,
  power_cut,
  stop,
  cut,         // two nodes, both ways or one
  cut_off,     // a node from all others
  client_cut,  // a client from its gateway
  reset,
  slow_wires,
  gateway_restart,
  inference_restart,
  node_restart,
  cache_restart,
  overflow,
  engine_failure,
  lies,
  redis_down,
  redis_slow,
  redis_lies,
  redis_emptied,
};
const char* name_of(fault_kind kind);

struct fault_plan {
  fault_kind kind = fault_kind::kill;
  time_us at = 0, lasts = 0;
  std::size_t node = 0, other = 0;
  bool one_way = false, held = false;
};

struct run_plan {
  std::uint64_t seed = 0;
  core_settings cores;
  link::link_settings link;
  wire_faults wires;
  std::vector<node_plan> nodes;
  std::vector<std::string> models;                  // digest by number; names are "m0", "m1"
  std::vector<std::vector<std::size_t>> models_at;  // by node
  bool redis = true;
  std::size_t clients = 3;
  std::vector<job_plan> jobs;
  std::vector<fault_plan> faults;
  time_us heal_at = 0;
  time_us ends_within = 20'000'000;  // after the heal
};

inline constexpr time_us client_tick = 40'000;
// With credit given and nothing heard a client waits so long, or as long as a patient one.
inline constexpr time_us patience_min = 2'500'000, patience_max = 12'000'000;

// nodes 0: the seed says how many.
run_plan make_plan(std::uint64_t seed, std::size_t nodes = 0);

// Fills in the only right answer, the slow way: every token computed from the very beginning.
void solve(known_job& job, const std::string& digest);

}  // namespace troupe::sim
