#include "cluster/gateway/gateway_role.hpp"

#include <spdlog/spdlog.h>

#include <ctime>

namespace troupe::cluster {
namespace {

// The wall clock's local time, counted as if it were UTC: days of 86400 seconds from 1970 on.
std::int64_t local_seconds() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return ::timegm(&local);
}

class gateway_role : public role {
 public:
  gateway_role(const gateway_settings& settings, post_office& office,
               std::shared_ptr<gateway_gauge> shown)
      : core_(settings), office_(office), shown_(std::move(shown)) {
    show();
  }

  void receive(const envelope_ptr& message, time_point_us now) override {
    if (message->has_submit_job()) core_.tell_local_time(local_seconds());
    carry_out(core_.receive(*message, now));
  }

  void notice(const role_event& event, time_point_us now) override {
    if (auto* changed = dynamic_cast<const cluster_changed*>(&event))
      carry_out(core_.view_changed(changed->view, now));
    else if (auto* lost = dynamic_cast<const node_lost*>(&event))
      carry_out(core_.node_lost(lost->node, now));
    else if (auto* forgot = dynamic_cast<const actor_forgot*>(&event))
      carry_out(core_.actor_restarted(forgot->node, forgot->actor, now));
    else if (auto* stop = dynamic_cast<const stop_accepting*>(&event))
      carry_out(core_.stop_accepting(stop->end_running, now));
  }

  void tick(time_point_us now) override { carry_out(core_.tick(now)); }

 private:
  void carry_out(gateway_effects effects) {
    for (const std::string& line : effects.log) spdlog::info("{}", line);
    show();
    for (envelope_ptr& message : effects.messages) office_.post(std::move(message));
  }

  void show() {
    const gateway_counters& counters = core_.counters();
    shown_->accepted = counters.accepted;
    shown_->refused = counters.refused;
    shown_->running = counters.running;
    shown_->frames_fenced = counters.frames_fenced;
  }

  gateway_core core_;
  post_office& office_;
  std::shared_ptr<gateway_gauge> shown_;
};

}  // namespace

role_handle spawn_gateway(caf::actor_system& system, const gateway_settings& settings,
                          post_office& office, std::shared_ptr<actor_gauge> gauge,
                          std::shared_ptr<gateway_gauge> shown) {
  role_plan plan;
  plan.name = "gateway";
  plan.gauge = std::move(gauge);
  plan.tick_every = std::chrono::milliseconds(50);
  plan.mailbox_max = 65536;
  plan.make = [settings, &office, shown](notify_self) {
    return std::make_unique<gateway_role>(settings, office, shown);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe::cluster
