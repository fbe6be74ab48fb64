#include "cluster/node/gpu_readings.hpp"

#include <algorithm>

namespace troupe::cluster {

bool warmth::feel(std::span<const kernels::gpu_reading> seen) {
  double warmest = 0;
  for (const kernels::gpu_reading& one : seen)
    if (!one.lost) warmest = std::max(warmest, one.celsius.value_or(0));
  if (limit_ == 0) return false;
  if (warmest > limit_) too_warm_ = true;
  if (warmest <= limit_ - cooled_by) too_warm_ = false;
  return too_warm_;
}

void gpu_readings::read(proto::NodeStatus& status) {
  const auto now = std::chrono::steady_clock::now();
  if (sensors_.present() && now - read_at_ >= std::chrono::seconds(1)) {
    read_at_ = now;
    shown_ = sensors_.all();
    too_warm_ = warmth_.feel(shown_);
  }
  for (const kernels::gpu_reading& seen : shown_) {
    if (seen.lost) continue;
    proto::DeviceStatus& device = *status.add_devices();
    device.set_index(seen.index);
    device.set_name(seen.name);
    device.set_memory_bytes(seen.memory_bytes);
    device.set_memory_bytes_used(seen.memory_bytes_used);
    device.set_busy_share(seen.busy_share.value_or(0));
    device.set_celsius(static_cast<std::uint32_t>(seen.celsius.value_or(0)));
    device.set_watts(seen.watts.value_or(0));
    device.set_clock_mhz(seen.clock_mhz.value_or(0));
    device.set_memory_clock_mhz(seen.memory_clock_mhz.value_or(0));
  }
}

}  // namespace troupe::cluster
