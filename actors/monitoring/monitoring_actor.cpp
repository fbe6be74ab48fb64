#include "actors/monitoring/monitoring_actor.hpp"

#include "actors/spawn.hpp"

namespace troupe {

void monitoring_role::receive(const envelope_ptr& message, time_point_us now) {
  carry_out(core_.step(message, now), now);
}

void monitoring_role::tick(time_point_us now) {
  read_gauges(now);
  carry_out(core_.tick(now), now);
}

void monitoring_role::carry_out(monitoring_core::effects effects, time_point_us now) {
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
  if (effects.answers.empty()) return;
  read_gauges(now);
  proto::NodeStatus status = core_.status(now);
  if (sources_.node) sources_.node(status);
  for (const envelope_ptr& request : effects.answers) {
    auto reply = std::make_shared<proto::Envelope>(reply_to(*request));
    if (request->has_read_metrics()) {
      proto::NodeMetrics& metrics = *reply->mutable_node_metrics();
      core_.write_metrics(metrics);
      if (sources_.engines) sources_.engines(metrics);
      *metrics.mutable_status() = status;
    } else {
      *reply->mutable_node_status() = status;
    }
    office_.post(std::move(reply));
  }
}

void monitoring_role::read_gauges(time_point_us now) {
  std::vector<gauge_reading> readings;
  for (const auto& [name, gauge] : sources_.actors)
    readings.push_back({name, gauge->alive, gauge->restarts, gauge->mailbox_depth(), gauge->handled,
                        gauge->busy_us});
  core_.read_gauges(readings, now);
}

role_handle spawn_monitoring(caf::actor_system& system, const monitoring_settings& settings,
                             post_office& office, std::shared_ptr<actor_gauge> gauge,
                             monitoring_sources sources) {
  role_plan plan;
  plan.name = "monitoring";
  plan.gauge = std::move(gauge);
  plan.mailbox_max = settings.intake_max;
  plan.make = [settings, &office,
               sources = std::move(sources)](notify_self) -> std::unique_ptr<role> {
    return std::make_unique<monitoring_role>(settings, office, sources);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
