#include "tests/sim/mesh.hpp"

#include <algorithm>

namespace troupe::sim {

mesh_node::mesh_node(clockwork& clock, network& net, dice chances, const std::string& name,
                     const std::string& address, const cluster::membership_settings& settings,
                     const link::link_settings& link, std::vector<sighting>& seen)
    : process(clock, net, chances, {name, settings.incarnation, link::peer_role::node}, address,
              link),
      core_(settings),
      tick_every_(static_cast<time_us>(settings.tick_every().count())),
      seen_(seen) {
  core_.own_address(address);
  for (const std::string& peer : settings.peers) dial(peer);
  later(tick_every_ + dice_.below(5'000), [this] { tick(); });
}

void mesh_node::act(action call) {
  if (clock_.now() >= stalled_until_) return call();
  later(stalled_until_ - clock_.now() + 1, [this, call = std::move(call)] { act(call); });
}

void mesh_node::tick() {
  act([this] {
    take(core_.tick(local_time()));
    later(tick_every_, [this] { tick(); });
  });
}

void mesh_node::on_up(const link::peer_view& peer) {
  act([this, peer] {
    take(core_.link_up(peer.who.name, peer.who.incarnation, peer.address, local_time()));
  });
}

void mesh_node::on_down(const link::peer_view& peer, const std::string& reason,
                        std::vector<envelope_ptr>) {
  act([this, peer, reason] {
    take(core_.link_down(peer.who.name, peer.who.incarnation, reason, local_time()));
  });
}

void mesh_node::on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) {
  for (const envelope_ptr& message : messages)
    act([this, name = from.who.name, message] { take(core_.heard(name, *message, local_time())); });
}

void mesh_node::take(cluster::membership_effects effects) {
  for (const envelope_ptr& message : effects.messages) {
    if (message->has_heartbeat()) ++beats, beat_bytes += message->ByteSizeLong();
    (void)send(message).ok();
  }
  using kind = sighting::kind;
  const auto note = [&](const std::string& of, kind what, cluster::loss_cause cause = {}) {
    seen_.push_back({clock_.now(), name(), of, what, cause});
  };
  for (const cluster::node_loss& one : effects.lost) note(one.node, kind::lost, one.cause);
  for (const std::string& one : effects.came_up) note(one, kind::came_up);
  for (const std::string& one : effects.suspected) note(one, kind::suspected);
  for (const std::string& one : effects.cleared) note(one, kind::cleared);
  for (const std::string& address : effects.dial) dial(address);
  for (const std::string& address : effects.hang_up) hang_up(address);
}

mesh::mesh(std::uint64_t seed, cluster::membership_settings settings, link::link_settings link)
    : settings_(std::move(settings)),
      link_(std::move(link)),
      dice_(seed),
      net_(clock_, dice_.split(1)) {}

// Any name has one, also before it runs.
std::string mesh::address_of(const std::string& name) {
  return "tcp://127.0.0.1:" + std::to_string(7'000 + std::stoi(name.substr(1)));
}

mesh_node& mesh::start(const std::string& name, const std::vector<std::string>& peers) {
  cluster::membership_settings mine = settings_;
  mine.self = name;
  mine.incarnation = ++incarnations_[name];
  for (const std::string& peer : peers) mine.peers.push_back(address_of(peer));
  auto& place = nodes_[name];
  place.reset();
  place = std::make_unique<mesh_node>(clock_, net_, dice_.split(nodes_.size()), name,
                                      address_of(name), mine, link_, seen);
  return *place;
}

bool mesh::converged() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& by) {
    const cluster::cluster_view& view = *by.second->core().view();
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& of) {
      const cluster::member* m = view.find(of.first);
      return m && m->up && !m->suspect && m->incarnation == incarnations_.at(of.first);
    });
  });
}

std::optional<time_us> mesh::when(sighting::kind what, const std::string& by, const std::string& of,
                                  time_us from) const {
  for (const sighting& one : seen)
    if (one.at >= from && one.what == what && one.by == by && one.of == of) return one.at;
  return std::nullopt;
}

}  // namespace troupe::sim
