// What is looked at: the picture of a moment, the series around it, the log lines up to it. The
// tables and findings are functions of it.
#pragma once

#include <cstdint>
#include <deque>

#include "proto/telemetry.pb.h"
#include "tools/console/table.hpp"

namespace troupe::console {

enum class panel { nodes, links, jobs, models, actors, caches, alerts, log };
inline constexpr panel panels[] = {panel::nodes,  panel::links,  panel::jobs,   panel::models,
                                   panel::actors, panel::caches, panel::alerts, panel::log};
const char* name_of(panel which);

struct scene {
  const proto::ClusterPicture& picture;
  const proto::ClusterHistory& history;
  const std::deque<proto::LogLine>& log;
  std::uint64_t at_us = 0;  // of the picture
  std::uint64_t log_until_us = ~std::uint64_t{0};
  std::size_t log_rows_max = ~std::size_t{0};  // the last ones
};

// What a node carries as a worker, whichever gateways its jobs have.
struct worker_load {
  std::uint64_t running = 0, waiting = 0;
  double tokens_per_second = 0;  // of the jobs that run there
};
worker_load load_of(const proto::ClusterPicture& picture, const proto::NodePart& node);

bool waits(const proto::JobShown& job);  // it has no token yet, or nobody works at it now
const char* state_text(proto::JobState state);
const char* level_text(proto::LogLevel level);

// The newest values of a node's series that lie at or before `at_us`, newest last; at most `count`.
std::vector<float> values_of(const proto::ClusterHistory& history, const std::string& node,
                             const std::string& series, std::uint64_t at_us, std::size_t count);
// The same, added up over all nodes.
std::vector<float> sum_of(const proto::ClusterHistory& history, const std::string& series,
                          std::uint64_t at_us, std::size_t count);

table table_of(panel which, const scene& from);

}  // namespace troupe::console
