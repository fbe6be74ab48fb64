#include "cluster/node/machine_readings.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

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

void read_cpu(const std::string& stat, machine_counters& to) {
  std::istringstream in(stat);
  std::string name;
  in >> name;
  if (name != "cpu") return;
  std::uint64_t ticks = 0;
  for (int column = 0; column < 8 && in >> ticks; ++column) {
    constexpr int idle = 3, waits_for_disk = 4;
    to.cpu_all += ticks;
    if (column != idle && column != waits_for_disk) to.cpu_busy += ticks;
  }
}

void read_process(const std::string& stat, machine_counters& to) {
  const std::size_t end = stat.rfind(')');  // a program's name may hold anything
  if (end == std::string::npos) return;
  std::istringstream in(stat.substr(end + 1));
  std::string skipped;
  for (int column = 0; column < 11; ++column) in >> skipped;
  std::uint64_t user = 0, system = 0;
  if (in >> user >> system) to.process_ticks = user + system;
}

void read_network(const std::string& dev, machine_counters& to) {
  std::istringstream lines(dev);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(' ');
    if (line.substr(begin, colon - begin) == "lo") continue;
    std::istringstream in(line.substr(colon + 1));
    std::uint64_t received = 0, sent = 0, skipped = 0;
    in >> received;
    for (int column = 0; column < 7; ++column) in >> skipped;
    if (!(in >> sent)) continue;
    to.network_in += received;
    to.network_out += sent;
  }
}

namespace {

// A disk, not one of its parts, nor what lies on other devices.
bool whole_disk(const std::string& name) {
  for (const char* prefix : {"loop", "ram", "dm-", "md", "zram", "sr"})
    if (name.starts_with(prefix)) return false;
  const bool numbered = name.starts_with("nvme") || name.starts_with("mmcblk");
  const bool ends_in_digit = !name.empty() && name.back() >= '0' && name.back() <= '9';
  return numbered ? name.find('p', 4) == std::string::npos : !ends_in_digit;
}

std::string content_of(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

void read_disks(const std::string& diskstats, machine_counters& to) {
  constexpr std::uint64_t sector = 512;
  std::istringstream lines(diskstats);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::uint64_t major = 0, minor = 0, reads = 0, merged = 0, read = 0, ms = 0, writes = 0,
                  written = 0;
    std::string name;
    if (!(in >> major >> minor >> name >> reads >> merged >> read >> ms >> writes >> merged >>
          written))
      continue;
    if (!whole_disk(name)) continue;
    to.disk_read += read * sector;
    to.disk_written += written * sector;
  }
}

void machine_meter::read(proto::NodeStatus& status, const std::filesystem::path& state) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_at_ >= std::chrono::seconds(1)) {
    machine_counters is;
    read_cpu(content_of("/proc/stat"), is);
    read_process(content_of("/proc/self/stat"), is);
    read_network(content_of("/proc/net/dev"), is);
    read_disks(content_of("/proc/diskstats"), is);
    const double seconds = std::chrono::duration<double>(now - last_at_).count();
    const auto grown = [](std::uint64_t before, std::uint64_t after) {
      return after > before ? static_cast<double>(after - before) : 0.0;
    };
    if (last_at_.time_since_epoch().count() != 0) {
      const double all = grown(last_.cpu_all, is.cpu_all);
      shown_.set_cpu_share(all > 0 ? grown(last_.cpu_busy, is.cpu_busy) / all : 0);
      shown_.set_process_cpu_cores(grown(last_.process_ticks, is.process_ticks) /
                                   static_cast<double>(::sysconf(_SC_CLK_TCK)) / seconds);
      shown_.set_network_in_per_second(grown(last_.network_in, is.network_in) / seconds);
      shown_.set_network_out_per_second(grown(last_.network_out, is.network_out) / seconds);
      shown_.set_disk_read_per_second(grown(last_.disk_read, is.disk_read) / seconds);
      shown_.set_disk_written_per_second(grown(last_.disk_written, is.disk_written) / seconds);
    }
    last_ = is;
    last_at_ = now;
    std::istringstream memory(content_of("/proc/self/statm"));
    std::uint64_t pages = 0, resident = 0;
    if (memory >> pages >> resident)
      shown_.set_process_bytes(resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    double load = 0;
    if (std::istringstream(content_of("/proc/loadavg")) >> load) shown_.set_load_1m(load);
    struct statvfs found {};
    if (::statvfs(state.c_str(), &found) == 0)
      shown_.set_disk_bytes(std::uint64_t{found.f_blocks} * found.f_frsize);
    std::istringstream self(content_of("/proc/self/status"));
    for (std::string key; self >> key;)
      if (std::uint32_t threads = 0; key == "Threads:" && self >> threads) {
        shown_.set_threads(threads);
        break;
      }
  }
  *status.mutable_machine() = shown_;
}

std::uint64_t disk_bytes_free(const std::filesystem::path& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) return 0;
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

}  // namespace troupe::cluster
