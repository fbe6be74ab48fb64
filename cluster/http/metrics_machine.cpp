#include <map>

#include "actors/monitoring/alert_messages.hpp"
#include "cluster/http/metrics_writer.hpp"

namespace troupe::http {
namespace {

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

void write_actors(std::string& out, const proto::NodeStatus& status) {
  const auto& actors = status.actors();
  const auto each = [&](const char* name, const char* type, const char* about, auto&& read) {
    rows_of(
        out, name, type, about, actors, "actor", [&](int i) { return actors[i].name(); }, read);
  };
  using A = proto::ActorStatus;
  each("actor_messages_total", "counter", "Messages that the actor has handled",
       [](const A& a) { return a.messages(); });
  each("actor_messages_dropped_total", "counter", "Messages refused since its mailbox was full",
       [](const A& a) { return a.dropped(); });
  each("actor_busy_ratio", "gauge", "Part of the last seconds that the actor worked",
       [](const A& a) { return a.busy_share(); });
  each("actor_handling_seconds", "gauge", "Mean time for a message, of the last seconds",
       [](const A& a) { return a.handling_us() / 1e6; });
}

// Of each peer one row: sessions that have ended are added to the one that is up.
void write_links(std::string& out, const proto::NodeStatus& status) {
  std::map<std::string, proto::LinkStatus> peers;
  for (const proto::LinkStatus& link : status.links()) {
    if (link.peer().empty() || link.peer().starts_with("client-")) continue;
    proto::LinkStatus& all = peers[link.peer()];
    all.set_peer(link.peer());
    all.set_bytes_sent(all.bytes_sent() + link.bytes_sent());
    all.set_bytes_received(all.bytes_received() + link.bytes_received());
    all.set_resent(all.resent() + link.resent());
    all.set_queued_bytes(all.queued_bytes() + link.queued_bytes());
    if (link.up()) all.set_round_trip_us(link.round_trip_us());
  }
  const auto each = [&](const char* name, const char* type, const char* about, auto&& read) {
    metric rows(out, name, type, about);
    for (const auto& [peer, link] : peers)
      rows.row(static_cast<double>(read(link)), {{"peer", peer}});
  };
  using L = proto::LinkStatus;
  each("link_sent_bytes_total", "counter", "Bytes sent to the peer",
       [](const L& l) { return l.bytes_sent(); });
  each("link_received_bytes_total", "counter", "Bytes received from the peer",
       [](const L& l) { return l.bytes_received(); });
  each("link_frames_resent_total", "counter", "Frames sent to the peer again",
       [](const L& l) { return l.resent(); });
  each("link_queued_bytes", "gauge", "Bytes that wait for the peer",
       [](const L& l) { return l.queued_bytes(); });
  each("link_round_trip_seconds", "gauge", "Time there and back, as measured last",
       [](const L& l) { return number(l.round_trip_us()) / 1e6; });
}

void write_devices(std::string& out, const proto::NodeStatus& status) {
  const auto& devices = status.devices();
  if (devices.empty()) return;
  const auto each = [&](const char* name, const char* about, auto&& read) {
    rows_of(
        out, name, "gauge", about, devices, "device",
        [&](int i) { return std::to_string(devices[i].index()); }, read);
  };
  using D = proto::DeviceStatus;
  each("device_memory_bytes", "Memory of the device", [](const D& d) { return d.memory_bytes(); });
  each("device_memory_used_bytes", "Memory of the device that is in use",
       [](const D& d) { return d.memory_bytes_used(); });
  each("device_busy_ratio", "Part of the time that the device computed",
       [](const D& d) { return d.busy_share(); });
  each("device_temperature_celsius", "Temperature of the device",
       [](const D& d) { return d.celsius(); });
  each("device_power_watts", "Power that the device takes", [](const D& d) { return d.watts(); });
  each("device_clock_hertz", "Clock of the device's processors",
       [](const D& d) { return d.clock_mhz() * 1e6; });
}

void write_own_machine(std::string& out, const proto::NodeStatus& status) {
  const proto::MachineStatus& machine = status.machine();
  one(out, "machine_cpu_ratio", "gauge", "Part of all cores that was busy", machine.cpu_share());
  one(out, "machine_memory_bytes", "gauge", "Memory of the machine", number(status.memory_bytes()));
  one(out, "machine_memory_used_bytes", "gauge", "Memory of the machine that is in use",
      number(status.memory_bytes_used()));
  one(out, "machine_disk_free_bytes", "gauge", "Free where the node keeps its state",
      number(status.disk_bytes_free()));
  one(out, "process_cpu_cores", "gauge", "Cores that this process kept busy",
      machine.process_cpu_cores());
  one(out, "process_memory_bytes", "gauge", "Memory that this process holds",
      number(machine.process_bytes()));
  one(out, "process_threads", "gauge", "Threads of this process", machine.threads());
  one(out, "generation_tokens_taken_total", "counter",
      "Answer tokens that this gateway has, of running jobs as well",
      number(status.jobs().answer_tokens_taken()));
}

void write_alerts(std::string& out, const proto::NodeMetrics& node) {
  std::map<std::pair<std::string, std::string>, int> lasting;
  for (const proto::Alert& alert : node.alerts())
    if (alert.ended_us() == 0) ++lasting[{alert.name(), severity_name(alert.severity())}];
  metric alerts(out, "alerts", "gauge", "Alerts that last, as this node sees them");
  for (const auto& [what, count] : lasting)
    alerts.row(count, {{"name", what.first}, {"severity", what.second}});
  if (node.objectives().empty()) return;
  const auto& wishes = node.objectives();
  rows_of(
      out, "objective_budget_left_ratio", "gauge",
      "Part of the jobs that may miss the latency objective and have not; below 0: too many have",
      wishes, "model_name", [&](int i) { return wishes[i].model(); },
      [](const proto::Objective& o) { return o.budget_left(); });
}

void write_cost(std::string& out, const proto::MonitoringCost& cost) {
  one(out, "monitoring_observations_total", "counter", "What the node's actors told monitoring",
      number(cost.observations()));
  one(out, "monitoring_observations_dropped_total", "counter", "Of these, lost: it was behind",
      number(cost.observations_dropped()));
  one(out, "monitoring_link_sent_bytes_total", "counter", "Bytes of monitoring to other nodes",
      number(cost.link_bytes_sent()));
  one(out, "monitoring_spans_exported_total", "counter", "Spans that the collector took",
      number(cost.spans_exported()));
  one(out, "monitoring_spans_dropped_total", "counter", "Spans that the collector did not take",
      number(cost.spans_export_dropped()));
  one(out, "monitoring_log_lines_left_out_total", "counter", "Log lines sampled away under flood",
      number(cost.log_lines_dropped()));
  one(out, "monitoring_alerts_sent_total", "counter", "Alerts that their receivers took",
      number(cost.alerts_sent()));
  one(out, "monitoring_alerts_failed_total", "counter", "Alerts that their receivers did not take",
      number(cost.alerts_send_failed()));
}

}  // namespace

void write_machine(std::string& out, const proto::NodeMetrics& node) {
  write_own_machine(out, node.status());
  write_devices(out, node.status());
  write_actors(out, node.status());
  write_links(out, node.status());
  write_alerts(out, node);
  write_cost(out, node.cost());
}

}  // namespace troupe::http
