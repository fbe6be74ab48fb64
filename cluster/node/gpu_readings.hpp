// The GPUs of this machine as a node's status tells them (kernels/gpu_sensors.hpp), and whether one
// is too warm; one that is lost is not told.
//
// Asked more often than once a second, it tells what it read last. Threading: one thread,
// too_warm() any.
#pragma once

#include <atomic>
#include <chrono>
#include <span>
#include <vector>

#include "kernels/gpu_sensors.hpp"
#include "proto/monitoring.pb.h"

namespace troupe::cluster {

// A GPU is too warm above the limit, and stays so until it is some degrees below it.
class warmth {
 public:
  static constexpr double cooled_by = 5;

  // 0: never.
  explicit warmth(std::uint32_t celsius_max) : limit_(celsius_max) {}
  bool feel(std::span<const kernels::gpu_reading> seen);

 private:
  double limit_;
  bool too_warm_ = false;
};

class gpu_readings {
 public:
  explicit gpu_readings(std::uint32_t celsius_max) : warmth_(celsius_max) {}
  void read(proto::NodeStatus& status);
  bool too_warm() const { return too_warm_; }

 private:
  kernels::gpu_sensors sensors_;
  std::chrono::steady_clock::time_point read_at_{};
  std::vector<kernels::gpu_reading> shown_;
  warmth warmth_;
  std::atomic<bool> too_warm_{false};
};

}  // namespace troupe::cluster
