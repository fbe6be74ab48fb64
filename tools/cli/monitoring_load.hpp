// What monitoring costs a node that serves: the same load, in turn, on a node without it, one with
// it, and one with somebody who looks twice a second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::cli {

struct monitoring_load_wish {
  std::filesystem::path daemon, model;
  std::uint32_t rounds = 3;    // each with three fresh nodes
  std::uint32_t windows = 15;  // of load on each node in a round
  std::uint32_t streams = 4;   // jobs at once, each of tokens_max tokens
  std::uint32_t tokens_max = 64;
  std::chrono::milliseconds measured{1'000};  // of a window, after a start that does not count
};

struct load_figures {
  double tokens_per_second = 0;
  double cpu_us_per_token = 0;  // of the node's process, all threads
};

// One window: [0] without monitoring, [1] with it, [2] watched.
using load_round = std::array<load_figures, 3>;

// Errors: unavailable where the node does not start or serves nothing.
result<std::vector<load_round>> bench_monitoring_load(const monitoring_load_wish& wish);

}  // namespace troupe::cli
