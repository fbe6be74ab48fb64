// What a monitoring actor is told at its start, and where it reads what it does not count itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/shell/gauge.hpp"
#include "proto/monitoring.pb.h"

namespace troupe {

struct monitoring_settings {
  std::string node;
  std::uint32_t intake_max = 4096;           // messages waiting; more are dropped and counted
  std::chrono::milliseconds window{60'000};  // percentiles are of the last window
  std::chrono::milliseconds answer_wait{
      300};  // for loader and cache, then their last answer is used
  std::chrono::milliseconds busy_window{5'000};
  std::uint32_t readers_waiting_max = 256;  // ReadStatus requests that wait at once
};

struct monitoring_sources {
  std::vector<std::pair<std::string, std::shared_ptr<const actor_gauge>>> actors;
  // Fills in what the node knows: address, incarnation, version, uptime, memory, links, and in
  // `jobs` what only the gateway counts (accepted, refused, running, frames_fenced). Called on the
  // monitoring actor's thread; must not block.
  std::function<void(proto::NodeStatus&)> node;
  // Adds the engines' part. The same holds.
  std::function<void(proto::NodeMetrics&)> engines;
};

}  // namespace troupe
