// The GPUs of this machine as a node's status tells them (kernels/gpu_sensors.hpp); one that is
// lost is not told.
//
// Asked more often than once a second, it tells what it read last. Threading: one thread.
#pragma once

#include <chrono>
#include <vector>

#include "kernels/gpu_sensors.hpp"
#include "proto/monitoring.pb.h"

namespace troupe::cluster {

class gpu_readings {
 public:
  void read(proto::NodeStatus& status);

 private:
  kernels::gpu_sensors sensors_;
  std::chrono::steady_clock::time_point read_at_{};
  std::vector<kernels::gpu_reading> shown_;
};

}  // namespace troupe::cluster
