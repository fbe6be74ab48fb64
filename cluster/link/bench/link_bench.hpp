// Measures the way from actor to actor between two processes, beside raw ZeroMQ, in one run.
//
// Both sides of a pair run on tcp loopback: (raw) a DEALER and a ROUTER that echo or count, (ours)
// a CAF actor at each end of the link, acknowledgement and credit included. Throughput is one way
// and counts what reaches the receiver (the receiving actor). Pairs alternate; figures are medians
// over the pairs. Threading: forks; call it from a process that has made no thread, no ZeroMQ
// context and no actor system yet.
#pragma once

#include <cstdint>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::link {

struct link_bench_settings {
  std::vector<std::uint32_t> sizes_bytes{100, 1024};  // of the payload
  unsigned pairs = 5;
  unsigned round_trips = 3000;              // each time
  std::uint64_t flood_bytes = 100'000'000;  // each time, at most flood_messages_max messages
  std::uint64_t flood_messages_max = 1'000'000;
  bool encrypted = false;  // our side's link; raw never is
};

struct link_bench_row {
  std::uint32_t size_bytes = 0;
  double raw_round_trip_us = 0;  // p50
  double round_trip_us = 0;
  double round_trip_ratio = 0;  // ours to raw, median of the pairs' ratios; lower is better
  double raw_messages_per_second = 0;
  double messages_per_second =
      0;  // one immutable Envelope sent over and over, as raw sends one buffer
  double throughput_ratio = 0;           // ours to raw; higher is better
  double fresh_messages_per_second = 0;  // an Envelope made and freed for each message
  double fresh_throughput_ratio = 0;
};

struct link_bench_report {
  std::vector<link_bench_row> rows;  // as sizes_bytes
};

result<link_bench_report> run_link_bench(const link_bench_settings& settings);

}  // namespace troupe::link
