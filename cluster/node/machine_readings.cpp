#include "cluster/node/machine_readings.hpp"

#include <sys/statvfs.h>

#include <fstream>
#include <string>

namespace troupe::cluster {

// MemTotal and MemAvailable, in kB.
void read_memory(proto::NodeStatus& status) {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::uint64_t value = 0, total = 0, available = 0;
  while (file >> key >> value) {
    std::getline(file, unit);
    if (key == "MemTotal:") total = value;
    if (key == "MemAvailable:") available = value;
    if (total && available) break;
  }
  status.set_memory_bytes(total * 1024);
  status.set_memory_bytes_used((total - available) * 1024);
}

std::uint64_t disk_bytes_free(const std::filesystem::path& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) return 0;
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

}  // namespace troupe::cluster
