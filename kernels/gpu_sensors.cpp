#include "kernels/gpu_sensors.hpp"

#include <dlfcn.h>

#include <algorithm>

namespace troupe::kernels {

// The part of the library's interface that is used: its names, its structures' layouts, its codes.
struct gpu_sensors::library {
  using device = void*;
  struct memory {
    unsigned long long total, free, used;
  };
  struct utilisation {
    unsigned gpu, memory;  // percent
  };
  static constexpr int fine = 0, gpu_is_lost = 15, reset_required = 16;
  static constexpr int temperature_of_gpu = 0, clock_of_multiprocessors = 1, clock_of_memory = 2;
  static constexpr unsigned devices_max = 16;

  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, device*) = nullptr;
  int (*handle_at)(const char*, device*) = nullptr;
  int (*index_of)(device, unsigned*) = nullptr;
  int (*name)(device, char*, unsigned) = nullptr;
  int (*memory_of)(device, memory*) = nullptr;
  int (*utilisation_of)(device, utilisation*) = nullptr;
  int (*temperature)(device, int, unsigned*) = nullptr;
  int (*power)(device, unsigned*) = nullptr;
  int (*clock)(device, int, unsigned*) = nullptr;
  void* file = nullptr;
  bool begun = false;

  ~library() {
    if (file == nullptr) return;
    if (begun && shutdown != nullptr) shutdown();
    ::dlclose(file);
  }

  template <class Function>
  bool find(Function& to, const char* symbol) {
    to = reinterpret_cast<Function>(::dlsym(file, symbol));
    return to != nullptr;
  }

  bool open(const std::string& path) {
    file = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) return false;
    const bool found = find(init, "nvmlInit_v2") && find(count, "nvmlDeviceGetCount_v2") &&
                       find(handle, "nvmlDeviceGetHandleByIndex_v2") &&
                       find(name, "nvmlDeviceGetName") &&
                       find(memory_of, "nvmlDeviceGetMemoryInfo");
    find(shutdown, "nvmlShutdown");
    find(handle_at, "nvmlDeviceGetHandleByPciBusId_v2");
    find(index_of, "nvmlDeviceGetIndex");
    find(utilisation_of, "nvmlDeviceGetUtilizationRates");
    find(temperature, "nvmlDeviceGetTemperature");
    find(power, "nvmlDeviceGetPowerUsage");
    find(clock, "nvmlDeviceGetClockInfo");
    begun = found && init() == fine;
    return begun;
  }

  static bool is_loss(int code) { return code == gpu_is_lost || code == reset_required; }

  std::optional<unsigned> clock_of(device of, int which) const {
    unsigned value = 0;
    if (clock == nullptr || clock(of, which, &value) != fine) return std::nullopt;
    return value;
  }

  gpu_reading read(unsigned index, device of) const {
    gpu_reading out;
    out.index = index;
    char text[96] = {};
    if (name(of, text, sizeof text - 1) == fine) out.name = text;
    memory bytes{};
    const int told = memory_of(of, &bytes);
    out.lost = is_loss(told);
    if (out.lost) return out;
    if (told == fine) {
      out.memory_bytes = bytes.total;
      out.memory_bytes_used = bytes.used;
    }
    utilisation busy{};
    if (utilisation_of != nullptr && utilisation_of(of, &busy) == fine)
      out.busy_share = busy.gpu / 100.0;
    unsigned value = 0;
    if (temperature != nullptr && temperature(of, temperature_of_gpu, &value) == fine)
      out.celsius = value;
    if (power != nullptr && power(of, &value) == fine) out.watts = value / 1000.0;
    out.clock_mhz = clock_of(of, clock_of_multiprocessors);
    out.memory_clock_mhz = clock_of(of, clock_of_memory);
    return out;
  }

  static gpu_reading lost_at(unsigned index) {
    gpu_reading out;
    out.index = index;
    out.lost = true;
    return out;
  }
};

gpu_sensors::gpu_sensors(const std::string& path) {
  auto found = std::make_unique<library>();
  if (found->open(path)) library_ = std::move(found);
}

gpu_sensors::~gpu_sensors() = default;

std::vector<gpu_reading> gpu_sensors::all() const {
  std::vector<gpu_reading> found;
  unsigned count = 0;
  if (library_ == nullptr || library_->count(&count) != library::fine) return found;
  for (unsigned i = 0; i < std::min(count, library::devices_max); ++i) {
    library::device of = nullptr;
    const int told = library_->handle(i, &of);
    if (told == library::fine) found.push_back(library_->read(i, of));
    if (library::is_loss(told)) found.push_back(library::lost_at(i));
  }
  return found;
}

std::optional<gpu_reading> gpu_sensors::at(const std::string& bus_id) const {
  if (library_ == nullptr || library_->handle_at == nullptr) return std::nullopt;
  library::device of = nullptr;
  const int told = library_->handle_at(bus_id.c_str(), &of);
  if (library::is_loss(told)) return library::lost_at(0);
  if (told != library::fine) return std::nullopt;
  unsigned index = 0;
  if (library_->index_of != nullptr && library_->index_of(of, &index) != library::fine) index = 0;
  return library_->read(index, of);
}

}  // namespace troupe::kernels
