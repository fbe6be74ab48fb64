// The node's daemon as one object (daemon.hpp). daemon.cpp has its life, daemon_roles.cpp what its
// actors are made of. Private to the two.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "cluster/audit/audit_writer.hpp"
#include "cluster/gateway/gateway_role.hpp"
#include "cluster/node/daemon.hpp"
#include "cluster/node/gpu_readings.hpp"
#include "cluster/node/machine_readings.hpp"
#include "cluster/node/peer_keys.hpp"
#include "cluster/node/state_directory.hpp"
#include "cluster/node/supervisor.hpp"
#include "cluster/node/switchboard.hpp"
#include "cluster/node/wakeups.hpp"

namespace troupe::cluster {

inline time_point_us now_us() {
  return std::chrono::duration_cast<time_point_us>(
      std::chrono::steady_clock::now().time_since_epoch());
}

struct system_config : caf::actor_system_config {
  explicit system_config(std::size_t workers) {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", workers);
  }
};

class node_daemon final : public daemon, private link::link_events {
 public:
  node_daemon(std::unique_ptr<wakeups> woken, node_settings settings, state_directory state,
              std::unique_ptr<audit::log> audit, std::shared_ptr<log_ring> lines)
      : lines_(std::move(lines)),
        woken_(std::move(woken)),
        settings_(std::move(settings)),
        state_(std::move(state)),
        audit_(std::move(audit)),
        board_(settings_.name),
        budget_(settings_.restarts_max, settings_.restart_window),
        config_(settings_.workers),
        desk_(std::make_shared<stage_desk>(settings_.name)),
        gpus_(settings_.gpu_celsius_max),
        keys_(settings_) {}

  ~node_daemon() override { close(); }

  status begin();
  std::string name() const override { return settings_.name; }
  std::string address() const override { return endpoint_->address(); }
  std::string http_address() const override { return http_ ? http_->address() : std::string(); }
  int run() override;

 private:
  // Link events, on its I/O thread.
  void on_envelope(const link::peer_view& from, envelope_ptr message) override {
    board_.arrive(from, std::span<envelope_ptr>(&message, 1), &*lane_);
  }
  void on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) override {
    if (from.who.role == link::peer_role::node) heard_->note(from.who.name, now_us());
    board_.arrive(from, messages, &*lane_);
  }
  void on_peer_up(const link::peer_view& peer) override;
  void on_peer_down(const link::peer_view& peer, std::string reason,
                    std::vector<envelope_ptr> undelivered) override;

  void spawn(const std::string& actor);
  role_handle make(const std::string& actor);
  chaos_hands hands();
  monitoring_sources sources();
  void tell_links_to_node_actor();
  void tell_gone_peers();
  status open_http();
  void stop_http();
  bool restart(const std::string& actor);
  int stop(milliseconds wait_max);
  bool stop_roles();
  void close();

  // Declared in the order of their life: the link's I/O thread ends first, the actor system last
  // but the switchboard.
  std::shared_ptr<log_ring> lines_;
  std::unique_ptr<wakeups> woken_;
  wakeups& wakeups_ = *woken_;
  node_settings settings_;
  state_directory state_;
  std::unique_ptr<audit::log> audit_;
  switchboard board_;
  restart_budget budget_;
  system_config config_;
  std::optional<caf::actor_system> system_;
  std::optional<inline_lane> lane_;     // of the link's I/O thread
  std::optional<loop_lane> http_lane_;  // of the HTTP door's
  std::map<std::string, std::shared_ptr<actor_gauge>> gauges_;
  std::map<std::string, role_handle> roles_;
  std::shared_ptr<stage_desk> desk_;
  std::shared_ptr<stages_load> stages_ = std::make_shared<stages_load>();
  std::shared_ptr<inference_load> load_ = std::make_shared<inference_load>();
  std::shared_ptr<gateway_gauge> gateway_shown_ = std::make_shared<gateway_gauge>();
  std::shared_ptr<last_heard> heard_ = std::make_shared<last_heard>();
  std::mutex peers_guard_;
  std::map<std::string, std::shared_ptr<peer_came>> peers_;
  std::set<std::string> gone_;  // peers whose session ended, and that have not come again
  std::atomic<link::endpoint*> shown_endpoint_{nullptr};
  std::atomic<bool> models_known_{false};
  std::atomic<int> exit_code_{exit_fine};  // of a stop in order
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  machine_meter meter_;  // these two: on monitoring's thread
  gpu_readings gpus_;
  peer_keys keys_;
  std::unique_ptr<link::endpoint> endpoint_;
  std::unique_ptr<http::server> http_;
};

}  // namespace troupe::cluster
