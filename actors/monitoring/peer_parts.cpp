#include "actors/monitoring/peer_parts.hpp"

#include <algorithm>

#include "actors/monitoring/telemetry_bounds.hpp"

namespace troupe {

std::shared_ptr<proto::Envelope> from_monitoring(const std::string& self, const std::string& node,
                                                 const char* actor, std::uint64_t correlation,
                                                 std::chrono::milliseconds wait) {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(self);
  message->mutable_sender()->set_actor("monitoring");
  message->mutable_target()->set_node(node);
  message->mutable_target()->set_actor(actor);
  message->set_correlation(correlation);
  message->set_deadline_ms(static_cast<std::uint32_t>(wait.count()));
  return message;
}

void peer_parts::nodes_changed(const std::vector<peer_seen>& nodes, time_point_us now) {
  std::set<std::string> here;
  for (const peer_seen& node : nodes) {
    if (node.name == settings_.node) {
      self_ = node;
      continue;
    }
    here.insert(node.name);
    known& entry = nodes_[node.name];
    if (entry.seen.up && !node.up) entry.gone_at = now;
    entry.seen = node;
    entry.was_up |= node.up;
  }
  for (auto& [name, entry] : nodes_)
    if (!here.contains(name) && entry.seen.up) {
      entry.seen.up = false;
      entry.gone_at = now;
    }
  forget_gone(now);
}

void peer_parts::forget_gone(time_point_us now) {
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    const bool old = !at->second.seen.up && now - at->second.gone_at > telemetry::nodes_known_for;
    at = old ? nodes_.erase(at) : std::next(at);
  }
  while (nodes_.size() > telemetry::nodes_known_max) {
    auto oldest = nodes_.end();
    for (auto at = nodes_.begin(); at != nodes_.end(); ++at)
      if (!at->second.seen.up &&
          (oldest == nodes_.end() || at->second.gone_at < oldest->second.gone_at))
        oldest = at;
    if (oldest == nodes_.end()) return;  // all are up: membership bounds them
    nodes_.erase(oldest);
  }
}

std::vector<std::string> peer_parts::others_up() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : nodes_)
    if (entry.seen.up) out.push_back(name);
  return out;
}

std::vector<peer_seen> peer_parts::seen() const {
  std::vector<peer_seen> out;
  for (const auto& [name, entry] : nodes_) out.push_back(entry.seen);
  out.push_back(self_);
  out.back().name = settings_.node;
  return out;
}

std::set<std::string> peer_parts::were_up() const {
  std::set<std::string> out;
  for (const auto& [name, entry] : nodes_)
    if (entry.was_up) out.insert(name);
  return out;
}

bool peer_parts::first_up() const {
  for (const auto& [name, entry] : nodes_)
    if (entry.seen.up && name < settings_.node) return false;
  return true;
}

bool peer_parts::knows_as_up(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.seen.up;
}

time_point_us peer_parts::round_pause(double link_bytes_per_second) const {
  const auto bytes = static_cast<double>(std::max(usual_bytes_, round_bytes_));
  const double allowed = std::max(link_bytes_per_second * link_share, 1.0);
  const time_point_us most = round_pause_max, least = settings_.peers_fresh;
  const double pause_us = std::min(bytes / allowed * 1e6, static_cast<double>(most.count()));
  return std::max(least, time_point_us(static_cast<std::int64_t>(pause_us)));
}

std::vector<envelope_ptr> peer_parts::ask(double link_bytes_per_second,
                                          std::uint64_t& last_correlation, time_point_us now) {
  std::vector<envelope_ptr> out;
  if (waiting(now) || (asked_once_ && now - asked_at_ < round_pause(link_bytes_per_second)))
    return out;
  asked_.clear();
  usual_bytes_ = round_bytes_;
  round_bytes_ = 0;
  for (const auto& [name, entry] : nodes_) {
    if (!entry.seen.up) continue;
    auto question = from_monitoring(settings_.node, name, "monitoring", ++last_correlation,
                                    settings_.peers_wait);
    question->mutable_read_picture()->set_own_only(true);
    asked_[question->correlation()] = name;
    out.push_back(std::move(question));
  }
  asked_at_ = now;
  asked_once_ = true;
  ++rounds_;
  return out;
}

bool peer_parts::take(const proto::Envelope& reply, time_point_us now) {
  const auto question = asked_.find(reply.correlation());
  if (question == asked_.end()) return false;
  const auto entry = nodes_.find(question->second);
  const std::string name = question->second;
  asked_.erase(question);
  round_bytes_ += reply.ByteSizeLong();
  if (entry == nodes_.end()) return true;
  entry->second.silent = true;
  if (!reply.has_cluster_picture() || reply.sender().node() != name) return true;
  for (const proto::NodePart& part : reply.cluster_picture().nodes()) {
    if (part.node() != name) continue;
    entry->second.part = part;
    entry->second.heard = true;
    entry->second.silent = false;
    entry->second.heard_at = now;
  }
  return true;
}

bool peer_parts::waiting(time_point_us now) const {
  return !asked_.empty() && now - asked_at_ < settings_.peers_wait;
}

void peer_parts::write(proto::ClusterPicture& to, time_point_us now) const {
  std::set<std::string> open;
  for (const auto& [correlation, name] : asked_) open.insert(name);
  for (const auto& [name, entry] : nodes_) {
    proto::NodePart& part = *to.add_nodes();
    part = entry.part;
    part.set_node(name);
    part.set_up(entry.seen.up);
    part.set_suspect(entry.seen.suspect);
    part.set_draining(entry.seen.draining);
    part.set_silent(entry.seen.up && (entry.silent || open.contains(name) || !entry.heard));
    if (entry.heard)
      part.set_age_ms(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(now - entry.heard_at).count()));
  }
}

}  // namespace troupe
