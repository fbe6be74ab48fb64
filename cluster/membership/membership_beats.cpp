// Heartbeats: when one is missed, and what rides on them.
#include <algorithm>

#include "cluster/membership/membership_core.hpp"

namespace troupe::cluster {
namespace {

constexpr int suspect_beats = 3;
constexpr std::size_t unechoed_max = 64;

}  // namespace

// Both in this node's own time: the later it is itself, the slower time passes for the others.
time_point_us membership_core::silence(const peer_state& peer, time_point_us now) const {
  return (now - peer.heard) / health_.factor();
}

// Since when the peer has had a beat of ours that it has not echoed, its own interval aside.
time_point_us membership_core::deafness(const peer_state& peer, time_point_us now) const {
  if (peer.unechoed.empty()) return {};
  const time_point_us waits = now - peer.unechoed.front().second - peer.beats.mean();
  return std::max(waits, time_point_us{}) / health_.factor();
}

// A peer that beats more slowly than this node is not late for that.
bool membership_core::overdue(const peer_state& peer, time_point_us of) const {
  const time_point_us down_after = settings_.down_after;
  const time_point_us beat = std::max(peer.beats.mean(), interval_);
  return of > std::min(suspect_beats * beat, down_after / 2);
}

void membership_core::take_heartbeat(member& m, peer_state& peer, const proto::Heartbeat& beat,
                                     time_point_us now) {
  if (beat.incarnation() != m.incarnation || beat.sequence() <= peer.sequence_seen) return;
  peer.sequence_seen = beat.sequence();
  if (peer.last_beat) {  // what came at once, or after a gap, says nothing of the usual interval
    const time_point_us gap = now - *peer.last_beat;
    if (2 * gap >= interval_ && !overdue(peer, gap)) peer.beats.add(gap);
  }
  peer.last_beat = now;
  while (!peer.unechoed.empty() && peer.unechoed.front().first <= beat.echo_sequence())
    peer.unechoed.pop_front();
  peer.view_acknowledged = beat.view_seen();
  if (!peer.views.take(beat)) return;
  show(peer, m);
  if (beat.view_base() == 0 || (beat.view_parts() & (part_address | part_neighbours)) != 0)
    looked_at_addresses_.reset();
}

// Load and names of blocks change with every beat; who reads the view need not hear it each time.
void membership_core::show(const peer_state& peer, member& m) {
  const node_view& view = peer.views.newest();
  const std::string& address = view.address.empty() ? peer.address : view.address;
  if (view.draining != m.draining || address != m.address || !same_models(view.models, m.models)) {
    own_changed_ |= view.draining != m.draining || address != m.address;
    m.draining = view.draining;
    m.address = address;
    m.models = view.models;
    view_changed_ = true;
  }
  if (!m.up || (view.load == m.load && view.prefixes == m.prefixes)) return;
  m.load = view.load;
  m.prefixes = view.prefixes;
  view_stale_ = true;
}

node_view membership_core::own_view() const {
  const member& me = members_.at(settings_.self);
  node_view out{me.load, me.draining, me.models, me.prefixes, me.address, {}};
  for (const auto& [name, peer] : peers_) {
    const node_view& theirs = peer.views.newest();
    if (!alive(peer.state) || theirs.draining || theirs.address.empty()) continue;
    if (out.neighbours.size() < neighbours_max) out.neighbours.push_back({name, theirs.address});
  }
  return out;
}

void membership_core::beat(const std::string& node, peer_state& peer, time_point_us now,
                           membership_effects& out) {
  if (std::exchange(own_changed_, false)) told_.set(own_view());
  auto message = to_node(node);
  proto::Heartbeat& beat = *message->mutable_heartbeat();
  if (peer.sequence_sent == 0) peer.sequence_sent = settings_.restarts << 32;
  beat.set_incarnation(settings_.incarnation);
  beat.set_sequence(++peer.sequence_sent);
  beat.set_echo_sequence(peer.sequence_seen);
  beat.set_view_seen(peer.views.version());
  told_.write(peer.view_acknowledged, beat);
  if (peer.unechoed.size() < unechoed_max) peer.unechoed.emplace_back(peer.sequence_sent, now);
  peer.beat_sent = now;
  out.messages.push_back(std::move(message));
}

// What others route by should not wait for the next interval.
void membership_core::beat_at_once(time_point_us now, membership_effects& out) {
  for (auto& [name, peer] : peers_)
    if (linked(peer.state)) beat(name, peer, now, out);
}

std::shared_ptr<proto::Envelope> membership_core::to_node(const std::string& node) const {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(settings_.self);
  message->mutable_sender()->set_actor("node");
  message->mutable_target()->set_node(node);
  message->mutable_target()->set_actor("node");
  return message;
}

}  // namespace troupe::cluster
