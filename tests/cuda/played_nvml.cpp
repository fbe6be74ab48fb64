// NVIDIA's management library as far as gpu_sensors asks it, telling what a test has set.
#include "tests/cuda/played_nvml.hpp"

#include <cstdio>
#include <cstdlib>

using troupe::kernels::testing::played_nvml;
using troupe::kernels::testing::played_nvml_gpu;

namespace {

played_nvml state;
constexpr int invalid = 2, not_found = 6;

played_nvml_gpu& of(void* device) {
  return *static_cast<played_nvml_gpu*>(device);
}

int tell(void* device, unsigned value, unsigned* to) {
  if (of(device).code == 0) *to = value;
  return of(device).code;
}

}  // namespace

extern "C" {

played_nvml* played_nvml_state() {
  return &state;
}

int nvmlInit_v2() {
  ++state.begun;
  return 0;
}
int nvmlShutdown() {
  --state.begun;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = state.count;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= state.count) return invalid;
  *device = &state.gpus[index];
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  unsigned domain = 0, place = 0;
  if (std::sscanf(bus, "%8x:%2x:00.0", &domain, &place) != 2) return invalid;
  if (place == 0 || place > state.count) return not_found;
  *device = &state.gpus[place - 1];
  return 0;
}
int nvmlDeviceGetIndex(void* device, unsigned* index) {
  return tell(device, static_cast<unsigned>(&of(device) - state.gpus), index);
}
int nvmlDeviceGetName(void* device, char* text, unsigned bytes) {
  std::snprintf(text, bytes, "played");
  return of(device).code;
}
int nvmlDeviceGetMemoryInfo(void* device, void* memory) {
  auto* numbers = static_cast<unsigned long long*>(memory);
  if (of(device).code != 0) return of(device).code;
  numbers[0] = of(device).bytes;
  numbers[1] = of(device).bytes - of(device).bytes_used;
  numbers[2] = of(device).bytes_used;
  return 0;
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned* percents) {
  return tell(device, of(device).percent, percents);
}
int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  return tell(device, of(device).celsius, celsius);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return tell(device, of(device).milliwatts, milliwatts);
}
int nvmlDeviceGetClockInfo(void* device, int, unsigned* mhz) {
  return tell(device, of(device).clock_mhz, mhz);
}

}  // extern "C"
