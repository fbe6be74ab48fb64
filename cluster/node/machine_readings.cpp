#include "cluster/node/machine_readings.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>

#include <fstream>
#include <memory>

#include "cluster/keys/allow_list.hpp"

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

std::vector<std::string> interface_addresses() {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(found, ::freeifaddrs);
  std::vector<std::string> out;
  for (const ifaddrs* one = all.get(); one; one = one->ifa_next) {
    if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
    if (!(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET_ADDRSTRLEN] = {};
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)) out.emplace_back(text);
  }
  return out;
}

std::string address_to_tell(const std::string& listens,
                            const std::vector<std::string>& interfaces) {
  if (interfaces.empty() || !keys::names_no_host(listens)) return listens;
  return "tcp://" + interfaces.front() + listens.substr(listens.rfind(':'));
}

std::uint64_t disk_bytes_free(const std::filesystem::path& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) return 0;
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

}  // namespace troupe::cluster
