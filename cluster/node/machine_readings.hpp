// What the machine says of itself. Threading: each function and object on one thread at a time;
// short reads of /proc and the file system.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "proto/monitoring.pb.h"

namespace troupe::cluster {

// Memory in all, and in use, from /proc/meminfo; left as it is where there is none.
void read_memory(proto::NodeStatus& status);
// IPv4 addresses of the interfaces that are up, loopback ones left out; as the system lists them.
std::vector<std::string> interface_addresses();
// The address that others are told to dial: `listens`, with the first of `interfaces` in the place
// of a host that means all of them. Without any it stays as it is.
std::string address_to_tell(const std::string& listens, const std::vector<std::string>& interfaces);
// 0 where it cannot be told.
std::uint64_t disk_bytes_free(const std::filesystem::path& folder);

// Counters of /proc at one moment. What cannot be read is 0.
struct machine_counters {
  std::uint64_t cpu_busy = 0, cpu_all = 0;  // in ticks, of all cores
  std::uint64_t process_ticks = 0;
  std::uint64_t network_in = 0, network_out = 0;  // bytes, without loopback
  std::uint64_t disk_read = 0, disk_written = 0;  // bytes, of whole disks
};
// From the text of /proc/stat, /proc/self/stat, /proc/net/dev and /proc/diskstats. Pure.
void read_cpu(const std::string& stat, machine_counters& to);
void read_process(const std::string& stat, machine_counters& to);
void read_network(const std::string& dev, machine_counters& to);
void read_disks(const std::string& diskstats, machine_counters& to);

// Rates of these between two readings at least a second apart; asked more often, it tells the last.
class machine_meter {
 public:
  void read(proto::NodeStatus& status, const std::filesystem::path& state);

 private:
  machine_counters last_;
  std::chrono::steady_clock::time_point last_at_{};
  proto::MachineStatus shown_;
};

}  // namespace troupe::cluster
