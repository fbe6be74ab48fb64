#include "cluster/membership/membership_core.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

constexpr time_point_us look_at_addresses_every{1'000'000};

}  // namespace

std::chrono::microseconds membership_settings::tick_every() const {
  return std::clamp<std::chrono::microseconds>(heartbeat_interval / 4, std::chrono::milliseconds(5),
                                               std::chrono::milliseconds(100));
}

const member* cluster_view::find(std::string_view name) const {
  auto at = std::lower_bound(members.begin(), members.end(), name,
                             [](const member& m, std::string_view n) { return m.name < n; });
  return at != members.end() && at->name == name ? &*at : nullptr;
}

membership_core::membership_core(membership_settings settings)
    : settings_(std::move(settings)),
      interval_(settings_.heartbeat_interval),
      health_(settings_.tick_every(), settings_.heartbeat_interval),
      book_(settings_.self, settings_.peers),
      told_((settings_.restarts << 32) + 1) {
  member& me = members_[settings_.self];
  me.name = settings_.self;
  me.incarnation = settings_.incarnation;
  me.self = true;
  me.up = true;
  (void)shown({});
}

member& membership_core::own() {
  return members_.at(settings_.self);
}

std::optional<member_state> membership_core::state_of(const std::string& node) const {
  const auto found = peers_.find(node);
  return found == peers_.end() ? std::nullopt : std::optional(found->second.state);
}

membership_effects membership_core::link_up(const std::string& node, std::uint64_t incarnation,
                                            const std::string& address, time_point_us now) {
  membership_effects out;
  if (node == settings_.self) return out;
  const bool fresh = !members_.contains(node);
  if (fresh && members_.size() >= members_max) return out;
  member& m = members_[node];
  peer_state& peer = peers_[node];
  const bool newer = fresh || incarnation > m.incarnation;
  verdict why{member_event::session, loss_cause::started_again, "it started again"};
  if (incarnation < m.incarnation) why.event = member_event::stale_session;
  if (newer && !fresh) why.event = member_event::newer_session;
  if (why.event == member_event::stale_session) return move(m, peer, why, now, out), out;
  m.name = node;
  m.incarnation = incarnation;
  if (newer) {  // of another process nothing is known
    peer.sequence_seen = peer.view_acknowledged = 0;
    peer.views.forget();
    peer.beats = accrual_detector(interval_);
    m.models.clear();
  }
  m.address = peer.address = address;
  peer.heard = now;
  peer.last_beat.reset();
  peer.unechoed.clear();
  move(m, peer, why, now, out);
  if (peer.views.version() != 0) show(peer, m);
  beat(node, peer, now, out);
  return shown(std::move(out));
}

membership_effects membership_core::link_down(const std::string& node, std::uint64_t incarnation,
                                              const std::string& reason, time_point_us now) {
  membership_effects out;
  const auto found = peers_.find(node);
  if (found == peers_.end() || members_.at(node).incarnation != incarnation) return out;
  member& m = members_.at(node);
  verdict why{member_event::session_end, loss_cause::session_ended, reason};
  if (found->second.state == member_state::suspect) why.cause = loss_cause::silent;
  if (m.draining) {
    why = {member_event::farewell, loss_cause::left, "it drained: " + reason};
    book_.forget(node);
  }
  move(m, found->second, why, now, out);
  return shown(std::move(out));
}

membership_effects membership_core::heard(const std::string& node, const proto::Envelope& message,
                                          time_point_us now) {
  membership_effects out;
  const auto found = peers_.find(node);
  if (found == peers_.end() || !linked(found->second.state)) return out;
  member& m = members_.at(node);
  if (message.has_heartbeat()) take_heartbeat(m, found->second, message.heartbeat(), now);
  if (message.has_probe_peer()) take_question(node, message.probe_peer(), now, out);
  if (message.has_probe_answer()) take_answer(node, message.probe_answer(), now);
  arrived(m, found->second, now, now, out);
  return shown(std::move(out));
}

membership_effects membership_core::frame_from(const std::string& node, time_point_us came,
                                               time_point_us now) {
  membership_effects out;
  const auto found = peers_.find(node);
  if (found == peers_.end() || !linked(found->second.state)) return out;
  if (came <= found->second.heard) return out;
  arrived(members_.at(node), found->second, came, now, out);
  return shown(std::move(out));
}

void membership_core::arrived(member& m, peer_state& peer, time_point_us came, time_point_us now,
                              membership_effects& out) {
  peer.heard = std::max(peer.heard, came);
  answer_those_who_ask_for(m.name, came, out);
  if (!overdue(peer, std::max(silence(peer, now), deafness(peer, now))))
    move(m, peer, {member_event::frame, {}, {}}, now, out);
}

void membership_core::move(member& m, peer_state& peer, const verdict& why, time_point_us now,
                           membership_effects& out) {
  const member_transition& to = transition(peer.state, why.event);
  if (!to.refused.empty()) return;
  if (to.next != peer.state) {
    peer.since = now;
    peer.probe = {};
    own_changed_ = true;  // it is a neighbour, or no more
  }
  peer.state = to.next;
  if (to.news == member_news::none) return;
  m.up = alive(peer.state);
  m.suspect = peer.state == member_state::suspect;
  view_changed_ = true;
  switch (to.news) {
    case member_news::suspected:
      out.suspected.push_back(m.name);
      break;
    case member_news::cleared:
      out.cleared.push_back(m.name);
      break;
    case member_news::lost:
    case member_news::gone:
    case member_news::replaced:
      m.load = {};
      m.prefixes.clear();
      out.lost.push_back({m.name, why.cause, why.reason});
      if (to.news != member_news::replaced) break;
      [[fallthrough]];
    case member_news::came_up:
      m.draining = false;
      out.came_up.push_back(m.name);
      if (peer.views.version() != 0) show(peer, m);
      break;
    default:
      break;
  }
}

// ---- what was told of this node ----

membership_effects membership_core::own_models(std::vector<proto::ModelDescription> models,
                                               time_point_us now) {
  membership_effects out;
  if (same_models(models, own().models)) return out;
  own().models = std::move(models);
  own_changed_ = view_changed_ = true;
  beat_at_once(now, out);
  return shown(std::move(out));
}

membership_effects membership_core::own_draining(bool draining, time_point_us now) {
  membership_effects out;
  if (draining == own().draining) return out;
  own().draining = draining;
  own_changed_ = view_changed_ = true;
  beat_at_once(now, out);
  return shown(std::move(out));
}

void membership_core::own_load(node_load load) {
  if (load == own().load) return;
  own().load = load;
  own_changed_ = view_stale_ = true;
}

void membership_core::own_prefixes(std::vector<std::uint64_t> prefixes) {
  prefixes = kept_prefixes(std::move(prefixes));
  if (prefixes == own().prefixes) return;
  own().prefixes = std::move(prefixes);
  own_changed_ = view_stale_ = true;
}

void membership_core::own_address(const std::string& address) {
  if (address == own().address || address.size() > address_bytes_max) return;
  own().address = address;
  book_.own_address(address);
  own_changed_ = view_stale_ = true;
}

// ---- time ----

membership_effects membership_core::tick(time_point_us now) {
  membership_effects out;
  if (const time_point_us late = health_.tick(now); late.count() > 0) excuse(late, now);
  for (auto& [name, peer] : peers_)
    if (linked(peer.state)) watch(members_.at(name), peer, now, out);
  expire_duties(now, out);
  forget_expired(now, out);
  look_at_addresses(now, out);
  for (auto& [name, peer] : peers_) {
    const bool due = now - peer.beat_sent + settings_.tick_every() / 2 >= interval_;
    if (linked(peer.state) && due) beat(name, peer, now, out);
  }
  view_changed_ |= view_stale_;
  return shown(std::move(out));
}

// While this node did not look, nobody was silent.
void membership_core::excuse(time_point_us late, time_point_us now) {
  for (auto& [name, peer] : peers_) {
    peer.heard = std::min(peer.heard + late, now);
    for (auto& [sequence, sent] : peer.unechoed) sent = std::min(sent + late, now);
    peer.probe.ends += late;
    peer.probe.next += late;
  }
  for (duty& one : duties_) one.until += late;
}

void membership_core::watch(member& m, peer_state& peer, time_point_us now,
                            membership_effects& out) {
  const time_point_us quiet = silence(peer, now);
  const bool late = overdue(peer, std::max(quiet, deafness(peer, now)));
  move(m, peer, {late ? member_event::overdue : member_event::frame, {}, {}}, now, out);
  if (peer.state != member_state::suspect) return;
  if (overdue(peer, quiet)) probe(m, peer, now, out);
  if (const auto verdict = judge(peer, now)) move(m, peer, *verdict, now, out);
}

std::optional<membership_core::verdict> membership_core::judge(const peer_state& peer,
                                                               time_point_us now) const {
  const auto shown_ms = [](time_point_us time) { return std::to_string(time.count() / 1000); };
  const time_point_us quiet = silence(peer, now);
  if (quiet > settings_.down_after) {
    std::string why = "it was silent for " + shown_ms(now - peer.heard) + " ms";
    if (!peer.probe.reached_by.empty()) why += ", though " + peer.probe.reached_by + " hears it";
    return verdict{member_event::silent_too_long, loss_cause::silent, why};
  }
  if (deafness(peer, now) > settings_.down_after)
    return verdict{
        member_event::silent_too_long, loss_cause::silent,
        "it has not heard this node for " + shown_ms(now - peer.unechoed.front().second) + " ms"};
  if (peer.probe.open || !peer.probe.reached_by.empty()) return std::nullopt;
  if (peer.beats.phi(quiet, settings_.pause_max) < accrual_detector::verdict) return std::nullopt;
  const std::string asked = peer.probe.round == 0
                                ? "nobody else was there to ask"
                                : std::to_string(peer.probe.asked_count) + " asked did not hear it";
  return verdict{member_event::unreachable, loss_cause::unreachable,
                 "it was silent for " + shown_ms(now - peer.heard) + " ms, and " + asked};
}

void membership_core::forget_expired(time_point_us now, membership_effects& out) {
  for (auto at = peers_.begin(); at != peers_.end();) {
    peer_state& peer = at->second;
    const time_point_us kept =
        peer.state == member_state::left ? settings_.left_kept : settings_.away_kept;
    if (linked(peer.state) || now - peer.since <= kept) {
      ++at;
      continue;
    }
    move(members_.at(at->first), peer, {member_event::expired, {}, {}}, now, out);
    members_.erase(at->first);
    at = peers_.erase(at);
  }
}

void membership_core::look_at_addresses(time_point_us now, membership_effects& out) {
  if (!settings_.learns_peers) return;
  if (looked_at_addresses_ && now - *looked_at_addresses_ < look_at_addresses_every) return;
  looked_at_addresses_ = now;
  std::vector<known_node> mentioned;
  const auto is_linked = [&](const std::string& name) {
    const auto found = peers_.find(name);
    return found != peers_.end() && linked(found->second.state);
  };
  const auto in_use = [&](const std::string& address) {
    return std::any_of(peers_.begin(), peers_.end(), [&](const auto& one) {
      return linked(one.second.state) &&
             (one.second.address == address || one.second.views.newest().address == address);
    });
  };
  for (const auto& [name, peer] : peers_) {
    const node_view& view = peer.views.newest();
    if (!linked(peer.state) || view.draining) continue;
    mentioned.push_back({name, view.address});
    mentioned.insert(mentioned.end(), view.neighbours.begin(), view.neighbours.end());
  }
  address_book::decisions decided = book_.look(mentioned, is_linked, in_use, now);
  out.dial = std::move(decided.dial);
  out.hang_up = std::move(decided.hang_up);
}

membership_effects membership_core::shown(membership_effects out) {
  if (!view_changed_) return out;
  view_changed_ = view_stale_ = false;
  auto view = std::make_shared<cluster_view>();
  view->self = settings_.self;
  view->members.reserve(members_.size());
  for (const auto& [name, m] : members_) view->members.push_back(m);
  view_ = std::move(view);
  out.view_changed = true;
  return out;
}

}  // namespace troupe::cluster
