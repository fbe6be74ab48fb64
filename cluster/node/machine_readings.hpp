// What the machine says of itself. Threading: any thread; short reads of /proc and the file system.
#pragma once

#include <cstdint>
#include <filesystem>
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

}  // namespace troupe::cluster
