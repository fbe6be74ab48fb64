// One run of a plan against a cluster that runs and lets itself be broken.
//
// The nodes carry the faults out on themselves (cluster/client/chaos.hpp) and end them without us.
// Nobody's engine is alone here: what is right is what the same cluster answered before the first
// fault, computed, not taken from a cache. Threading: one run at a time in a process.
#pragma once

#include <atomic>
#include <string>

#include "tools/chaos/report.hpp"

namespace troupe::chaos {

struct cluster_wish {
  chaos_plan plan;    // its nodes are the cluster's, or some of them
  std::string at;     // gateways, "HOST:PORT" with commas between
  std::string model;  // a name; empty: the first that is ready
};

// Ends early, with what was seen until then, when `ended` becomes true. Errors: unavailable where
// nobody answers; not_found and permission_denied name a node that is not there, or does not allow
// what the plan does to it; unsupported a fault that no node does to itself.
result<run_report> run_in_cluster(const cluster_wish& wish, const std::atomic<bool>& ended);

}  // namespace troupe::chaos
