// What tests may set about the GPUs that played_nvml.cpp tells of.
#pragma once

#include <dlfcn.h>

#include <cstdlib>

namespace troupe::kernels::testing {

struct played_nvml_gpu {
  int code = 0;  // what every question gets: 0 fine, 15 lost, 16 needs a reset, 999 unknown
  unsigned long long bytes = 0, bytes_used = 0;
  unsigned percent = 0, celsius = 0, milliwatts = 0, clock_mhz = 0;
};
// GPU i is at place i + 1 of the bus.
struct played_nvml {
  unsigned count = 0;
  int begun = 0;  // how often it was begun and not ended
  played_nvml_gpu gpus[4] = {};
};

// The library's own state, which lives as long as the process.
inline played_nvml& the_played_nvml() {
  static void* const file = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  const auto state = reinterpret_cast<played_nvml* (*)()>(
      file == nullptr ? nullptr : ::dlsym(file, "played_nvml_state"));
  if (state == nullptr) std::abort();  // none, or this machine's own was found
  return *state();
}

}  // namespace troupe::kernels::testing
