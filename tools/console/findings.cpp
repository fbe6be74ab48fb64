#include "tools/console/findings.hpp"

#include <algorithm>
#include <optional>

#include "tools/console/cluster_tables.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

// Slow is a node beside the others: twice their first token and a good part of a second, or a queue
// three times theirs. One node alone is slow where both are bad by themselves.
constexpr double slow_factor = 2, slow_seconds_min = 0.5, alone_seconds = 2;
constexpr std::uint64_t queue_factor = 3, queue_min = 3;
constexpr double wait_worth_telling_seconds = 1;

struct node_measure {
  const proto::NodePart* node = nullptr;
  std::optional<double> first_token;
  worker_load load;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool is_slow(const node_measure& one, const std::vector<node_measure>& all) {
  std::vector<double> tokens, queues;
  for (const node_measure& other : all) {
    if (other.node == one.node) continue;
    if (other.first_token) tokens.push_back(*other.first_token);
    queues.push_back(static_cast<double>(other.load.waiting));
  }
  const double limit =
      tokens.empty() ? alone_seconds : std::max(slow_seconds_min, slow_factor * median(tokens));
  if (one.first_token && *one.first_token >= limit) return true;
  const double queue = std::max<double>(queue_min, queue_factor * median(queues));
  return static_cast<double>(one.load.waiting) >= queue;
}

std::string figures_of(const node_measure& one) {
  std::string out;
  if (one.first_token) out = "first token " + duration_text(*one.first_token);
  if (one.load.waiting > 0)
    out += (out.empty() ? "" : ", ") + std::to_string(one.load.waiting) + " waiting";
  return out;
}

finding slowest_node(const proto::ClusterPicture& picture) {
  std::vector<node_measure> all;
  for (const proto::NodePart& node : picture.nodes()) {
    if (!node.up()) continue;
    node_measure one{&node, {}, load_of(picture, node)};
    const proto::Percentiles& first = node.status().jobs().first_token_seconds();
    if (first.count() > 0) one.first_token = first.p50();
    all.push_back(one);
  }
  if (all.empty()) return {tone::bad, "No node is up."};
  const auto worse = [&](const node_measure& left, const node_measure& right) {
    const bool left_slow = is_slow(left, all), right_slow = is_slow(right, all);
    if (left_slow != right_slow) return left_slow;
    if (left.load.waiting != right.load.waiting) return left.load.waiting > right.load.waiting;
    return left.first_token.value_or(0) > right.first_token.value_or(0);
  };
  const node_measure& worst = *std::min_element(all.begin(), all.end(), worse);
  const std::string figures = figures_of(worst), name = printable(worst.node->node());
  if (is_slow(worst, all))
    return {tone::warn, name + " is slow: " + figures + reason_of(*worst.node)};
  if (figures.empty()) return {tone::faint, "No node is slow: none has answered a request lately."};
  return {tone::good, "No node is slow. The slowest is " + name + ": " + figures};
}

finding longest_wait(const proto::ClusterPicture& picture) {
  const proto::JobShown* longest = nullptr;
  std::size_t waiting = 0;
  for (const proto::NodePart& node : picture.nodes())
    for (const proto::JobShown& job : node.jobs()) {
      if (!node.up() || !waits(job)) continue;
      ++waiting;
      if (!longest || job.age_ms() > longest->age_ms()) longest = &job;
    }
  if (!longest) return {tone::good, "No request waits."};
  const char* doing = "waits";
  std::string what;
  switch (longest->state()) {
    case proto::JOB_WAITING_FOR_MODEL:
      what = "for a node that has the model " + printable(longest->model());
      break;
    case proto::JOB_WAITING_FOR_NODE:
      what = "for a node that can take it";
      break;
    case proto::JOB_LOADING:
      what = "for " + printable(longest->model()) + " to load at " + printable(longest->worker());
      break;
    case proto::JOB_QUEUED:
      what = "for its first token from " + printable(longest->worker());
      break;
    case proto::JOB_PREPARING:
      what = "for its prompt to become tokens";
      break;
    default:
      what = "for the caches to be looked up";
  }
  const double seconds = static_cast<double>(longest->age_ms()) / 1000;
  std::string text = "Request " + job_text(longest->job_id()) + " " + doing + " " +
                     duration_text(seconds) + " " + what;
  if (!longest->because().empty()) text += ": " + printable(longest->because());
  if (waiting > 1) text += " (" + count_text(waiting - 1, "other waits", "others wait") + ")";
  return {seconds >= wait_worth_telling_seconds ? tone::warn : tone::plain, text};
}

std::optional<finding> missing_nodes(const proto::ClusterPicture& picture) {
  std::string text;
  for (const proto::NodePart& node : picture.nodes()) {
    if (node.up() && !node.silent()) continue;
    const std::string age = duration_text(static_cast<double>(node.age_ms()) / 1000);
    text +=
        (text.empty() ? "" : "; ") + printable(node.node()) +
        (node.up() ? " is SILENT: no answer for " + age : " is DOWN: last heard " + age + " ago");
  }
  if (text.empty()) return std::nullopt;
  return finding{tone::bad, text};
}

std::optional<finding> gravest_alert(const proto::ClusterPicture& picture) {
  const proto::Alert* gravest = nullptr;
  std::size_t lasting = 0;
  for (const proto::NodePart& node : picture.nodes())
    for (const proto::Alert& alert : node.alerts()) {
      if (alert.ended_us() != 0 || alert.severity() < proto::SEVERITY_WARNING) continue;
      if (std::any_of(picture.nodes().begin(), picture.nodes().end(),
                      [&](const proto::NodePart& gone) {
                        return (!gone.up() || gone.silent()) && gone.node() == alert.subject();
                      }))
        continue;  // said in the line above
      ++lasting;
      if (!gravest || alert.severity() > gravest->severity() ||
          (alert.severity() == gravest->severity() && alert.since_us() < gravest->since_us()))
        gravest = &alert;
    }
  if (!gravest) return std::nullopt;
  const bool critical = gravest->severity() == proto::SEVERITY_CRITICAL;
  std::string text =
      std::string(critical ? "Critical: " : "Warning: ") + printable(gravest->text());
  if (lasting > 1) text += " (" + count_text(lasting - 1, "other alert", "other alerts") + ")";
  return finding{critical ? tone::bad : tone::warn, text};
}

}  // namespace

std::string reason_of(const proto::NodePart& node) {
  const proto::NodeStatus& status = node.status();
  if (status.breaker().state() == proto::BREAKER_OPEN)
    return "; it failed " + count_text(status.breaker().failures(), "time", "times") +
           " in a row and rests";
  if (node.draining()) return "; it is being drained";
  for (const proto::ModelDescription& model : status.models())
    if (model.state() == proto::LOADING || model.state() == proto::FETCHING)
      return "; it " + std::string(model.state() == proto::LOADING ? "loads " : "fetches ") +
             printable(model.name());
  for (const proto::EngineMetrics& engine : node.engines())
    if (engine.waiting() > 0 && engine.kv_blocks() > 0 &&
        engine.kv_blocks_used() >= 0.95 * engine.kv_blocks())
      return "; its KV memory is full";
  for (const proto::DeviceStatus& device : status.devices())
    if (device.celsius() >= 85) return "; its GPU is at " + std::to_string(device.celsius()) + " C";
  if (status.memory_bytes() > 0 && static_cast<double>(status.memory_bytes_used()) >
                                       0.95 * static_cast<double>(status.memory_bytes()))
    return "; its memory is " +
           share_text(static_cast<double>(status.memory_bytes_used()) /
                      static_cast<double>(status.memory_bytes())) +
           " full";
  if (status.machine().cpu_share() >= 0.9)
    return "; its CPU is " + share_text(status.machine().cpu_share()) + " busy";
  for (const proto::LinkStatus& link : status.links())
    if (link.up() && link.round_trip_us() > 100'000)
      return "; its link to " + printable(link.peer()) + " takes " +
             duration_text(static_cast<double>(link.round_trip_us()) / 1e6);
  return {};
}

std::vector<finding> findings_of(const proto::ClusterPicture& picture) {
  std::vector<finding> out;
  if (auto missing = missing_nodes(picture)) out.push_back(*missing);
  if (auto alert = gravest_alert(picture)) out.push_back(*alert);
  out.push_back(slowest_node(picture));
  out.push_back(longest_wait(picture));
  return out;
}

}  // namespace troupe::console
