#include "cluster/membership/membership_core.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

bool same_models(const std::vector<proto::ModelDescription>& a,
                 const std::vector<proto::ModelDescription>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.SerializeAsString() == y.SerializeAsString();
  });
}

// At most prefixes_max, sorted.
std::vector<std::uint64_t> kept_prefixes(std::vector<std::uint64_t> names) {
  constexpr std::size_t prefixes_max = 1024;
  if (names.size() > prefixes_max) names.resize(prefixes_max);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

const member* cluster_view::find(std::string_view name) const {
  auto at = std::lower_bound(members.begin(), members.end(), name,
                             [](const member& m, std::string_view n) { return m.name < n; });
  return at != members.end() && at->name == name ? &*at : nullptr;
}

membership_core::membership_core(membership_settings settings) : settings_(std::move(settings)) {
  member& me = members_[settings_.self];
  me.name = settings_.self;
  me.incarnation = settings_.incarnation;
  me.self = true;
  me.up = true;
  membership_effects unused;
  publish(unused);
}

member& membership_core::own() {
  return members_.at(settings_.self);
}

membership_effects membership_core::link_up(const std::string& node, std::uint64_t incarnation,
                                            const std::string& address, time_point_us now) {
  membership_effects out;
  if (node == settings_.self) return out;
  member& m = members_[node];
  peer_state& peer = peers_[node];
  if (incarnation < m.incarnation) return out;
  if (m.up && incarnation > m.incarnation) mark_lost(m, "it started again", out);
  m.name = node;
  m.address = address;
  m.incarnation = incarnation;
  peer.linked = true;
  peer.heard = now;
  if (!m.up) {
    m.up = true;
    m.draining = false;
    m.load = {};
    m.models.clear();
    m.prefixes.clear();
    peer.sequence_seen = 0;
    peer.beaten = false;
    out.came_up.push_back(node);
  }
  out.messages.push_back(heartbeat_to(node, peer));
  peer.beaten = true;
  peer.beat_sent = now;
  publish(out);
  return out;
}

membership_effects membership_core::link_down(const std::string& node, std::uint64_t incarnation,
                                              const std::string& reason, time_point_us) {
  membership_effects out;
  auto found = members_.find(node);
  if (found == members_.end() || found->second.self) return out;
  if (found->second.incarnation != incarnation) return out;
  peers_[node].linked = false;
  if (found->second.up) {
    mark_lost(found->second, reason, out);
    publish(out);
  }
  return out;
}

membership_effects membership_core::heard(const std::string& node, const proto::Envelope& message,
                                          time_point_us now) {
  membership_effects out;
  auto found = members_.find(node);
  if (found == members_.end() || found->second.self) return out;
  member& m = found->second;
  peer_state& peer = peers_[node];
  if (!peer.linked) return out;
  peer.heard = now;
  bool changed = false;
  if (!m.up) {
    m.up = true;
    out.came_up.push_back(node);
    changed = true;
  }
  if (message.has_heartbeat()) changed |= take_heartbeat(m, peer, message.heartbeat());
  if (changed) publish(out);
  return out;
}

bool membership_core::take_heartbeat(member& from, peer_state& peer, const proto::Heartbeat& beat) {
  if (beat.incarnation() != from.incarnation || beat.sequence() <= peer.sequence_seen) return false;
  peer.sequence_seen = beat.sequence();
  node_load load{beat.sequences_running(), beat.sequences_waiting(), beat.sequences_max(),
                 beat.decode_tokens_per_second()};
  std::vector<proto::ModelDescription> models(beat.models().begin(), beat.models().end());
  std::vector<std::uint64_t> prefixes =
      kept_prefixes({beat.prefixes().begin(), beat.prefixes().end()});
  if (load == from.load && prefixes == from.prefixes && beat.draining() == from.draining &&
      same_models(models, from.models))
    return false;
  from.load = load;
  from.draining = beat.draining();
  from.models = std::move(models);
  from.prefixes = std::move(prefixes);
  return true;
}

membership_effects membership_core::own_models(std::vector<proto::ModelDescription> models) {
  membership_effects out;
  if (same_models(models, own().models)) return out;
  own().models = std::move(models);
  beat_at_once(out);
  publish(out);
  return out;
}

membership_effects membership_core::own_load(node_load load) {
  membership_effects out;
  if (load == own().load) return out;
  own().load = load;
  publish(out);
  return out;
}

membership_effects membership_core::own_prefixes(std::vector<std::uint64_t> prefixes) {
  membership_effects out;
  prefixes = kept_prefixes(std::move(prefixes));
  if (prefixes == own().prefixes) return out;
  own().prefixes = std::move(prefixes);
  publish(out);
  return out;
}

membership_effects membership_core::own_draining(bool draining) {
  membership_effects out;
  if (draining == own().draining) return out;
  own().draining = draining;
  beat_at_once(out);
  publish(out);
  return out;
}

membership_effects membership_core::tick(time_point_us now) {
  membership_effects out;
  bool changed = false;
  for (auto& [name, peer] : peers_) {
    member& m = members_.at(name);
    if (m.up && now - peer.heard > settings_.silence_max) {
      mark_lost(m, "it was silent for " + std::to_string((now - peer.heard).count() / 1000) + " ms",
                out);
      changed = true;
    }
    if (peer.linked && (!peer.beaten || now - peer.beat_sent >= settings_.heartbeat_interval)) {
      out.messages.push_back(heartbeat_to(name, peer));
      peer.beaten = true;
      peer.beat_sent = now;
    }
  }
  if (changed) publish(out);
  return out;
}

// What others route by should not wait for the next interval.
void membership_core::beat_at_once(membership_effects& out) {
  for (auto& [name, peer] : peers_)
    if (peer.linked) out.messages.push_back(heartbeat_to(name, peer));
}

void membership_core::mark_lost(member& node, std::string reason, membership_effects& out) {
  node.up = false;
  node.load = {};
  node.prefixes.clear();
  out.lost.push_back(node.name);
  out.lost_reasons.push_back(std::move(reason));
}

envelope_ptr membership_core::heartbeat_to(const std::string& node, peer_state& peer) const {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(settings_.self);
  message->mutable_sender()->set_actor("node");
  message->mutable_target()->set_node(node);
  message->mutable_target()->set_actor("node");
  const member& me = members_.at(settings_.self);
  proto::Heartbeat& beat = *message->mutable_heartbeat();
  beat.set_incarnation(settings_.incarnation);
  beat.set_sequence(++peer.sequence_sent);
  beat.set_echo_sequence(peer.sequence_seen);
  beat.set_sequences_running(me.load.sequences_running);
  beat.set_sequences_waiting(me.load.sequences_waiting);
  beat.set_sequences_max(me.load.sequences_max);
  beat.set_decode_tokens_per_second(me.load.decode_tokens_per_second);
  beat.set_draining(me.draining);
  for (const auto& model : me.models) *beat.add_models() = model;
  beat.mutable_prefixes()->Add(me.prefixes.begin(), me.prefixes.end());
  return message;
}

void membership_core::publish(membership_effects& out) {
  auto view = std::make_shared<cluster_view>();
  view->self = settings_.self;
  view->members.reserve(members_.size());
  for (const auto& [name, m] : members_) view->members.push_back(m);
  view_ = std::move(view);
  out.view_changed = true;
}

}  // namespace troupe::cluster
