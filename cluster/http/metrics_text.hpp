// What this node has counted, as Prometheus text: names and meanings of vLLM where it has them,
// prefix troupe_. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "proto/monitoring.pb.h"

namespace troupe::http {

// Of this node's HTTP door.
struct live_counts {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;  // whose answers are being computed
  std::uint64_t refused = 0;   // for a full queue
  bool draining = false;
};

std::string metrics_text(const proto::NodeMetrics& node, const live_counts& door);

}  // namespace troupe::http
