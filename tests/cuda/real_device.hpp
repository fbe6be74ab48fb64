// Whether this machine has a GPU to test on. The line that says it has none begins with "skipped:",
// by which ctest counts the case as skipped.
#pragma once

#include <cstdio>

#include "kernels/cuda_engine.hpp"

namespace troupe::kernels::testing {

inline bool no_device() {
  const auto devices = cuda_devices();
  if (devices) {
    std::printf("on %s, sm %d\n", devices->front().name.c_str(),
                devices->front().compute_capability);
    return false;
  }
  std::printf("skipped: %s\n", devices.failure().text().c_str());
  return true;
}

inline bool no_two_devices() {
  const auto devices = cuda_devices();
  if (devices && devices->size() > 1) return false;
  std::printf("skipped: two GPUs are needed\n");
  return true;
}

}  // namespace troupe::kernels::testing
