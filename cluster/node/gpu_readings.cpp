#include "cluster/node/gpu_readings.hpp"

#include <dlfcn.h>

#include <algorithm>

namespace troupe::cluster {

// The part of the library's interface that is used: its names, and its structures' layouts.
struct gpu_readings::library {
  using device = void*;
  struct memory {
    unsigned long long total, free, used;
  };
  struct utilisation {
    unsigned gpu, memory;  // percent
  };
  static constexpr int fine = 0, temperature_of_gpu = 0, clock_of_multiprocessors = 1,
                       clock_of_memory = 2;
  static constexpr unsigned devices_max = 16;

  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, device*) = nullptr;
  int (*name)(device, char*, unsigned) = nullptr;
  int (*memory_of)(device, memory*) = nullptr;
  int (*utilisation_of)(device, utilisation*) = nullptr;
  int (*temperature)(device, int, unsigned*) = nullptr;
  int (*power)(device, unsigned*) = nullptr;
  int (*clock)(device, int, unsigned*) = nullptr;
  void* file = nullptr;

  ~library() {
    if (!file) return;
    if (shutdown) shutdown();
    ::dlclose(file);
  }

  template <class Function>
  bool find(Function& to, const char* symbol) {
    to = reinterpret_cast<Function>(::dlsym(file, symbol));
    return to != nullptr;
  }

  bool open() {
    file = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!file) return false;
    const bool found = find(init, "nvmlInit_v2") && find(count, "nvmlDeviceGetCount_v2") &&
                       find(handle, "nvmlDeviceGetHandleByIndex_v2") &&
                       find(name, "nvmlDeviceGetName") &&
                       find(memory_of, "nvmlDeviceGetMemoryInfo");
    find(utilisation_of, "nvmlDeviceGetUtilizationRates");
    find(temperature, "nvmlDeviceGetTemperature");
    find(power, "nvmlDeviceGetPowerUsage");
    find(clock, "nvmlDeviceGetClockInfo");
    if (!found || init() != fine) return false;
    find(shutdown, "nvmlShutdown");
    return true;
  }

  proto::DeviceStatus read(unsigned index, device of) const {
    proto::DeviceStatus out;
    out.set_index(index);
    char text[96] = {};
    if (name(of, text, sizeof text - 1) == fine) out.set_name(text);
    memory bytes{};
    if (memory_of(of, &bytes) == fine) {
      out.set_memory_bytes(bytes.total);
      out.set_memory_bytes_used(bytes.used);
    }
    utilisation busy{};
    if (utilisation_of && utilisation_of(of, &busy) == fine) out.set_busy_share(busy.gpu / 100.0);
    unsigned value = 0;
    if (temperature && temperature(of, temperature_of_gpu, &value) == fine) out.set_celsius(value);
    if (power && power(of, &value) == fine) out.set_watts(value / 1000.0);
    if (clock && clock(of, clock_of_multiprocessors, &value) == fine) out.set_clock_mhz(value);
    if (clock && clock(of, clock_of_memory, &value) == fine) out.set_memory_clock_mhz(value);
    return out;
  }
};

gpu_readings::gpu_readings() {
  auto found = std::make_unique<library>();
  if (found->open()) nvml_ = std::move(found);
}

gpu_readings::~gpu_readings() = default;

void gpu_readings::read(proto::NodeStatus& status) {
  const auto now = std::chrono::steady_clock::now();
  if (nvml_ && now - read_at_ >= std::chrono::seconds(1)) {
    read_at_ = now;
    shown_.clear();
    unsigned count = 0;
    if (nvml_->count(&count) != library::fine) count = 0;
    for (unsigned i = 0; i < std::min(count, library::devices_max); ++i)
      if (library::device of = nullptr; nvml_->handle(i, &of) == library::fine)
        shown_.push_back(nvml_->read(i, of));
  }
  for (const proto::DeviceStatus& device : shown_) *status.add_devices() = device;
}

}  // namespace troupe::cluster
