// What the machine says of itself. Threading: any thread; short reads of /proc and the file system.
#pragma once

#include <cstdint>
#include <filesystem>

#include "proto/monitoring.pb.h"

namespace troupe::cluster {

// Memory in all, and in use, from /proc/meminfo; left as it is where there is none.
void read_memory(proto::NodeStatus& status);
// 0 where it cannot be told.
std::uint64_t disk_bytes_free(const std::filesystem::path& folder);

}  // namespace troupe::cluster
