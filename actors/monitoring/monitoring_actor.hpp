// Monitoring's shell: reads the gauges at each tick, and adds what the node knows to each answer.
#pragma once

#include "actors/monitoring/monitoring_core.hpp"
#include "actors/shell/role.hpp"

namespace troupe {

class monitoring_role final : public role {
 public:
  monitoring_role(const monitoring_settings& settings, post_office& office,
                  monitoring_sources sources)
      : office_(office), sources_(std::move(sources)), core_(settings) {}

  void receive(const envelope_ptr& message, time_point_us now) override;
  void tick(time_point_us now) override;

 private:
  void carry_out(monitoring_core::effects effects, time_point_us now);
  void read_gauges(time_point_us now);

  post_office& office_;
  monitoring_sources sources_;
  monitoring_core core_;
};

}  // namespace troupe
