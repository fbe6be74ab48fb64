// The GPUs of this machine, as NVIDIA's management library tells them. It is loaded at run time;
// where it is absent there are none.
//
// Asked more often than once a second, it tells what it read last. Threading: one thread.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "proto/monitoring.pb.h"

namespace troupe::cluster {

class gpu_readings {
 public:
  gpu_readings();
  ~gpu_readings();
  void read(proto::NodeStatus& status);

 private:
  struct library;
  std::unique_ptr<library> nvml_;  // null: there is none
  std::chrono::steady_clock::time_point read_at_{};
  std::vector<proto::DeviceStatus> shown_;
};

}  // namespace troupe::cluster
