// Monitoring's shell: reads the gauges at each tick, and adds what the node knows to each answer.
#pragma once

#include "actors/monitoring/monitoring_core.hpp"
#include "actors/monitoring/outbound_lane.hpp"
#include "actors/shell/role.hpp"

namespace troupe {

class monitoring_role final : public role {
 public:
  monitoring_role(const monitoring_settings& settings, post_office& office,
                  monitoring_sources sources)
      : enabled_(settings.enabled),
        office_(office),
        sources_(std::move(sources)),
        core_(settings, sources_.log) {
    open(traces_, settings.traces.collector, "application/x-protobuf", 2);
    open(webhook_, settings.alerts.webhook, "application/json", 4);
    const std::string& manager = settings.alerts.alertmanager;
    open(alertmanager_, manager.empty() ? manager : manager + "/api/v2/alerts", "application/json",
         4);
  }

  void receive(const envelope_ptr& message, time_point_us now) override;
  void notice(const role_event& event, time_point_us now) override;
  void tick(time_point_us now) override;

 private:
  void carry_out(monitoring_core::effects effects, time_point_us now);
  void tell(const std::vector<proto::Alert>& alerts);
  void profile(const envelope_ptr& request);
  void open(std::unique_ptr<outbound_lane>& lane, const std::string& url, const char* type,
            int tries);
  void read_gauges(time_point_us now);
  proto::NodeStatus status(time_point_us now);

  const bool enabled_;
  post_office& office_;
  monitoring_sources sources_;
  monitoring_core core_;
  std::unique_ptr<outbound_lane> traces_, webhook_, alertmanager_;  // null: not wanted
};

}  // namespace troupe
