#include "actors/monitoring/monitoring_actor.hpp"

#include <spdlog/spdlog.h>

#include "actors/monitoring/alert_messages.hpp"
#include "actors/spawn.hpp"

namespace troupe {

void monitoring_role::receive(const envelope_ptr& message, time_point_us now) {
  carry_out(core_.step(message, now), now);
}

void monitoring_role::notice(const role_event& event, time_point_us now) {
  if (const auto* seen = dynamic_cast<const nodes_seen*>(&event))
    core_.nodes_changed(seen->nodes, now);
}

void monitoring_role::tick(time_point_us now) {
  if (!enabled_) return carry_out(core_.tick(now), now);
  read_gauges(now);
  using std::chrono::system_clock;
  core_.tell_wall_offset(
      std::chrono::duration_cast<time_point_us>(system_clock::now().time_since_epoch()).count() -
      now.count());
  if (core_.sample_due(now)) tell(core_.sample(status(now), now));
  carry_out(core_.tick(now), now);
}

proto::NodeStatus monitoring_role::status(time_point_us now) {
  proto::NodeStatus out = core_.status(now);
  if (sources_.node) sources_.node(out);
  return out;
}

void monitoring_role::open(std::unique_ptr<outbound_lane>& lane, const std::string& url,
                           const char* type, int tries) {
  if (url.empty()) return;
  outbound_settings settings;
  settings.tries = tries;
  auto opened = outbound_lane::to(url, type, settings);
  if (opened)
    lane = std::move(*opened);
  else
    spdlog::error("monitoring_without to={} reason=\"{}\"", url, opened.failure().text());
}

void monitoring_role::tell(const std::vector<proto::Alert>& alerts) {
  if (alerts.empty()) return;
  for (const proto::Alert& alert : alerts) {
    const bool bad = alert.ended_us() == 0 && alert.severity() != proto::SEVERITY_INFORMATION;
    spdlog::log(bad ? spdlog::level::warn : spdlog::level::info, "{}", log_line_of(alert));
  }
  if (webhook_) webhook_->offer(webhook_body(alerts), alerts.size());
  if (alertmanager_) alertmanager_->offer(alertmanager_body(alerts), alerts.size());
}

// The office outlives whoever answers late.
void monitoring_role::profile(const envelope_ptr& request) {
  if (!sources_.profile)
    return office_.post(
        refuse(*request, {error_code::unsupported, "this node is not profiled", ""}));
  const troupe::status begun =
      sources_.profile(request->read_profile(), request->sender().node(),
                       [request, &office = office_](result<proto::NodeProfile> told) {
                         if (!told) return office.post(refuse(*request, told.failure()));
                         proto::Envelope answer = reply_to(*request);
                         *answer.mutable_node_profile() = std::move(*told);
                         office.post(std::make_shared<const proto::Envelope>(std::move(answer)));
                       });
  if (!begun) office_.post(refuse(*request, begun.failure()));
}

void monitoring_role::carry_out(monitoring_core::effects effects, time_point_us now) {
  for (trace_batch::parcel& parcel : effects.traces)
    if (traces_) traces_->offer(std::move(parcel.body), parcel.spans);
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
  for (const envelope_ptr& request : effects.profiles) profile(request);
  if (effects.answers.empty()) return;
  read_gauges(now);
  const proto::NodeStatus own = status(now);
  proto::NodeMetrics engines;
  if (sources_.engines) sources_.engines(engines);
  for (const envelope_ptr& request : effects.answers)
    office_.post(core_.answer(*request, own, engines, now));
}

void monitoring_role::read_gauges(time_point_us now) {
  std::vector<gauge_reading> readings;
  for (const auto& [name, gauge] : sources_.actors)
    readings.push_back({name, gauge->alive, gauge->restarts, gauge->mailbox_depth(), gauge->handled,
                        gauge->busy_us, gauge->dropped});
  core_.read_gauges(readings, now);
  proto::MonitoringCost outside;
  if (sources_.own) outside.set_observations_dropped(sources_.own->dropped);
  if (traces_) {
    outside.set_spans_exported(traces_->delivered());
    outside.set_spans_export_dropped(traces_->dropped());
  }
  for (const auto* lane : {webhook_.get(), alertmanager_.get()}) {
    if (!lane) continue;
    outside.set_alerts_sent(outside.alerts_sent() + lane->delivered());
    outside.set_alerts_send_failed(outside.alerts_send_failed() + lane->dropped());
  }
  core_.tell_cost(outside);
}

role_handle spawn_monitoring(caf::actor_system& system, const monitoring_settings& settings,
                             post_office& office, std::shared_ptr<actor_gauge> gauge,
                             monitoring_sources sources) {
  role_plan plan;
  plan.name = "monitoring";
  plan.gauge = std::move(gauge);
  plan.mailbox_max = settings.intake_max;
  plan.make = [settings, &office,
               sources = std::move(sources)](const notify_self&) -> std::unique_ptr<role> {
    return std::make_unique<monitoring_role>(settings, office, sources);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
