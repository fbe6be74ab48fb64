// What a monitoring actor is told at its start, and where it reads what it does not count itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/monitoring/alert_settings.hpp"
#include "actors/monitoring/log_ring.hpp"
#include "actors/monitoring/trace_settings.hpp"
#include "actors/shell/gauge.hpp"
#include "actors/shell/role.hpp"
#include "config/outcome.hpp"
#include "proto/profile.pb.h"
#include "proto/telemetry.pb.h"

namespace troupe {

struct monitoring_settings {
  std::string node;
  bool enabled = true;                       // else nothing is sampled; readers get what is at hand
  std::uint32_t intake_max = 4096;           // messages waiting; more are dropped and counted
  std::chrono::milliseconds window{60'000};  // percentiles are of the last window
  std::chrono::milliseconds answer_wait{
      300};  // for loader, cache and gateway, then their last answer is used
  std::chrono::milliseconds peers_wait{700};   // for other nodes
  std::chrono::milliseconds peers_fresh{250};  // what was heard since is not asked again
  std::chrono::milliseconds busy_window{5'000};
  std::uint32_t readers_waiting_max = 256;     // requests that wait at once
  std::chrono::milliseconds slow_job{30'000};  // from when on a job's story is kept longer
  std::string version;
  trace_settings traces;
  alert_settings alerts;
};

struct monitoring_sources {
  std::vector<std::pair<std::string, std::shared_ptr<const actor_gauge>>> actors;
  // Fills in what the node knows: address, incarnation, version, uptime, memory, links, machine,
  // devices, and in `jobs` what only the gateway counts (accepted, refused, running, frames_fenced,
  // answer_tokens_taken). Called on the monitoring actor's thread; must not block.
  std::function<void(proto::NodeStatus&)> node;
  // Adds the engines' part. The same holds.
  std::function<void(proto::NodeMetrics&)> engines;
  std::shared_ptr<log_ring> log;
  std::shared_ptr<const actor_gauge> own;  // monitoring's, for what it dropped
  // Begins a profile of this process and returns; `tell` is called once, later, on another thread,
  // where that was fine. Absent: this node is not profiled.
  using profile_told = std::function<void(result<proto::NodeProfile>)>;
  std::function<status(const proto::ReadProfile&, const std::string& asked_by, profile_told tell)>
      profile;
};

struct peer_seen {
  std::string name;
  bool up = false, suspect = false, draining = false;
  friend bool operator==(const peer_seen&, const peer_seen&) = default;
};

// News of the cluster, from the node actor: every node that it knows, this one as well.
struct nodes_seen : role_event {
  explicit nodes_seen(std::vector<peer_seen> n) : nodes(std::move(n)) {}
  std::vector<peer_seen> nodes;
};

}  // namespace troupe
