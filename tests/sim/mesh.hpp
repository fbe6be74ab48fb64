// A cluster of membership cores alone, in virtual time: the real cores, the real link and the real
// encoding, without gateways and engines. For what a whole run of a seed is too coarse for: how
// long a verdict takes, and what a mesh of many nodes says to each other.
//
// Threading: one thread. Units: microseconds, of the simulation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/membership/membership_core.hpp"
#include "tests/sim/process.hpp"

namespace troupe::sim {

// What a node of the mesh noticed.
struct sighting {
  time_us at = 0;
  std::string by, of;
  enum class kind { came_up, suspected, cleared, lost } what = kind::came_up;
  cluster::loss_cause cause = cluster::loss_cause::session_ended;  // lost
};

class mesh_node final : public process {
 public:
  mesh_node(clockwork& clock, network& net, dice chances, const std::string& name,
            const std::string& address, const cluster::membership_settings& settings,
            const link::link_settings& link, std::vector<sighting>& seen);

  cluster::membership_core& core() { return core_; }
  void take(cluster::membership_effects effects);
  // Its actors do nothing for so long, while its link goes on.
  void stall(time_us time) { stalled_until_ = clock_.now() + time; }
  std::uint64_t beat_bytes = 0, beats = 0;  // sent

 private:
  void on_up(const link::peer_view& peer) override;
  void on_down(const link::peer_view& peer, const std::string& reason,
               std::vector<envelope_ptr> undelivered) override;
  void on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) override;
  void act(action call);  // now, or when it stalls no more
  void tick();

  cluster::membership_core core_;
  const time_us tick_every_;
  time_us stalled_until_ = 0;
  std::vector<sighting>& seen_;
};

class mesh {
 public:
  explicit mesh(std::uint64_t seed, cluster::membership_settings settings = {},
                link::link_settings link = {});

  // peers: names of nodes that it is told to dial. Again after kill(): a higher incarnation.
  mesh_node& start(const std::string& name, const std::vector<std::string>& peers);
  void kill(const std::string& name) { nodes_.erase(name); }
  void power_cut(const std::string& name) { net_.silence(name), kill(name); }
  mesh_node& at(const std::string& name) { return *nodes_.at(name); }
  void run(time_us time) { clock_.run_until(clock_.now() + time); }
  time_us now() const { return clock_.now(); }
  network& wires() { return net_; }

  // Everybody sees everybody that runs, up and not suspect.
  bool converged() const;
  // When that first happened since `from`; nullopt: never.
  std::optional<time_us> when(sighting::kind what, const std::string& by, const std::string& of,
                              time_us from) const;
  std::vector<sighting> seen;

  static std::string address_of(const std::string& name);

 private:
  const cluster::membership_settings settings_;
  const link::link_settings link_;
  dice dice_;
  clockwork clock_;
  network net_;
  std::map<std::string, std::uint64_t> incarnations_;
  std::map<std::string, std::unique_ptr<mesh_node>> nodes_;
};

}  // namespace troupe::sim
