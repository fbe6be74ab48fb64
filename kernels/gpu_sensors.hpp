// What NVIDIA's management library (NVML) says about this machine's GPUs: without a context on any
// of them, and also when one is lost.
//
// The library is loaded at run time; where it is absent nothing is known, and nothing needs it.
// Threading: one thread at a time for each object; a call may hang as long as the driver does.
// Source: NVML API reference, nvml.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::kernels {

// Empty: it was not told.
struct gpu_reading {
  std::uint32_t index = 0;  // as NVML counts, which is not as CUDA does
  std::string name;
  bool lost = false;  // fallen off the bus, or needs a reset: nothing else is known then
  std::uint64_t memory_bytes = 0, memory_bytes_used = 0;
  std::optional<double> busy_share;  // of the last moment
  std::optional<double> celsius, watts;
  std::optional<std::uint32_t> clock_mhz, memory_clock_mhz;
};

class gpu_sensors {
 public:
  explicit gpu_sensors(const std::string& library = "libnvidia-ml.so.1");
  ~gpu_sensors();
  bool present() const { return library_ != nullptr; }
  std::vector<gpu_reading> all() const;
  // The GPU at that place of the PCI bus, which both libraries name alike ("00000000:65:00.0").
  // Nothing where it is not known.
  std::optional<gpu_reading> at(const std::string& bus_id) const;

 private:
  struct library;
  std::unique_ptr<library> library_;  // null: there is none
};

}  // namespace troupe::kernels
