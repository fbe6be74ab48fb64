#include "tools/console/scene.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::console {

const char* name_of(panel which) {
  switch (which) {
    case panel::nodes:
      return "Nodes";
    case panel::links:
      return "Links";
    case panel::jobs:
      return "Jobs";
    case panel::models:
      return "Models";
    case panel::actors:
      return "Actors";
    case panel::caches:
      return "Caches";
    case panel::alerts:
      return "Alerts";
    case panel::log:
      break;
  }
  return "Log";
}

bool waits(const proto::JobShown& job) {
  return job.state() != proto::JOB_RUNNING && job.state() != proto::JOB_ENDED &&
         job.state() != proto::JOB_STATE_UNKNOWN;
}

const char* state_text(proto::JobState state) {
  switch (state) {
    case proto::JOB_WAITING_FOR_MODEL:
      return "no model";
    case proto::JOB_PREPARING:
      return "preparing";
    case proto::JOB_LOOKING_UP:
      return "looks up";
    case proto::JOB_LOADING:
      return "loading";
    case proto::JOB_QUEUED:
      return "queued";
    case proto::JOB_RUNNING:
      return "running";
    case proto::JOB_WAITING_FOR_NODE:
      return "no node";
    case proto::JOB_ENDED:
      return "ended";
    default:
      return "-";
  }
}

const char* level_text(proto::LogLevel level) {
  const char* names[] = {"trace", "debug", "info", "WARN", "ERROR", "CRITICAL"};
  return level >= 0 && level <= proto::LEVEL_CRITICAL ? names[level] : "?";
}

worker_load load_of(const proto::ClusterPicture& picture, const proto::NodePart& node) {
  worker_load out;
  std::uint64_t running = 0, waiting = 0;
  for (const proto::NodePart& gateway : picture.nodes())
    for (const proto::JobShown& job : gateway.jobs()) {
      if (!gateway.up() || job.worker() != node.node()) continue;
      out.tokens_per_second += job.tokens_per_second();
      (waits(job) ? waiting : running) += 1;
    }
  for (const proto::EngineMetrics& engine : node.engines()) {
    out.running += engine.running();
    out.waiting += engine.waiting();
  }
  out.running = std::max(out.running, running);
  out.waiting = std::max(out.waiting, waiting);
  return out;
}

namespace {

constexpr float hole = std::numeric_limits<float>::quiet_NaN();

// values[i] is the one of the step that ended (count - 1 - i) steps before at_us.
void add(const proto::NodeHistory& node, const proto::Series& series, std::uint64_t at_us,
         std::uint64_t step_us, std::vector<float>& into) {
  const auto count = static_cast<std::int64_t>(into.size());
  const auto behind =
      static_cast<std::int64_t>((static_cast<double>(node.end_us()) - static_cast<double>(at_us)) /
                                static_cast<double>(step_us));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t from = series.values_size() - 1 - behind - (count - 1 - i);
    if (from < 0 || from >= series.values_size()) continue;
    const float value = series.values(static_cast<int>(from));
    float& slot = into[static_cast<std::size_t>(i)];
    if (std::isfinite(value)) slot = std::isfinite(slot) ? slot + value : value;
  }
}

std::vector<float> gathered(const proto::ClusterHistory& history, const std::string* node,
                            const std::string& name, std::uint64_t at_us, std::size_t count) {
  std::vector<float> out(count, hole);
  for (const proto::NodeHistory& one : history.nodes()) {
    if (node && one.node() != *node) continue;
    for (const proto::Series& series : one.series())
      if (series.name() == name)
        add(one, series, at_us, std::max<std::uint64_t>(one.step_ms(), 1) * 1000, out);
  }
  // The newest step of what was read some seconds ago is not there yet: no hole at the end for it.
  while (!out.empty() && !std::isfinite(out.back()) &&
         std::any_of(out.begin(), out.end(), [](float value) { return std::isfinite(value); })) {
    out.pop_back();
    out.insert(out.begin(), hole);
  }
  return out;
}

}  // namespace

std::vector<float> values_of(const proto::ClusterHistory& history, const std::string& node,
                             const std::string& series, std::uint64_t at_us, std::size_t count) {
  return gathered(history, &node, series, at_us, count);
}

std::vector<float> sum_of(const proto::ClusterHistory& history, const std::string& series,
                          std::uint64_t at_us, std::size_t count) {
  return gathered(history, nullptr, series, at_us, count);
}

}  // namespace troupe::console
