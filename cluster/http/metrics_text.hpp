// What this node has counted, as Prometheus text: names and meanings of vLLM where it has them,
// prefix troupe_. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "cluster/http/admission.hpp"
#include "proto/monitoring.pb.h"

namespace troupe::http {

// Of this node's HTTP door.
struct live_counts {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;                                 // whose answers are being computed
  std::array<std::uint64_t, refusal_names.size()> refused{};  // by refusal_reason
  bool draining = false;
};

std::string metrics_text(const proto::NodeMetrics& node, const live_counts& door);

}  // namespace troupe::http
