#include "actors/monitoring/alert_book.hpp"

#include <algorithm>

namespace troupe {

std::string alert_book::incident_of(const condition& what, time_point_us now) const {
  if (what.name == node_down) return std::string(node_down) + ":" + what.subject;
  const auto about = lost_nodes_.find(what.node);
  if (!what.node.empty() && about != lost_nodes_.end())
    return std::string(node_down) + ":" + about->first;
  for (const auto& [node, at] : lost_nodes_)
    if (now >= at && now - at <= settings_.incident_window)
      return std::string(node_down) + ":" + node;
  return what.name + ":" + what.subject;
}

bool alert_book::may_tell(time_point_us now) {
  while (!told_times_.empty() && now - told_times_.front() >= std::chrono::minutes(1))
    told_times_.pop_front();
  if (told_times_.size() >= settings_.told_per_minute_max) return false;
  told_times_.push_back(now);
  return true;
}

std::vector<proto::Alert> alert_book::update(const std::vector<condition>& now_true, bool tells,
                                             std::int64_t wall_offset_us, time_point_us now) {
  std::vector<proto::Alert> out;
  const auto wall = [&](time_point_us at) {
    return static_cast<std::uint64_t>(at.count() + wall_offset_us);
  };
  for (const condition& what : now_true)
    if (what.name == node_down) lost_nodes_.try_emplace(what.subject, now);
  for (const condition& what : now_true) {
    const std::string key = what.name + '\n' + what.subject;
    if (!entries_.contains(key) && entries_.size() >= alerts_max) {
      ++held_back_;
      continue;
    }
    entry& one = entries_[key];
    if (one.alert.name().empty()) {
      one.began = now;
      one.about_node = what.node;
      one.alert.set_name(what.name);
      one.alert.set_subject(what.subject);
      one.alert.set_node(node_);
      one.alert.set_incident(incident_of(what, now));
      one.alert.set_since_us(wall(now));
    }
    one.seen = now;
    one.alert.set_severity(what.severity);
    one.alert.set_text(what.text);
    one.alert.set_value(what.value);
    one.alert.set_limit(what.limit);
    one.alert.set_signals(std::max(1u, one.alert.signals()));
    one.firing |= what.at_once || now - one.began >= settings_.holds_for;
  }
  // The consequences of a loss count to it.
  std::map<std::string, std::uint32_t> signals;
  for (auto& [key, one] : entries_)
    if (one.firing) ++signals[one.alert.incident()];
  for (auto& [key, one] : entries_)
    if (one.alert.name() == node_down) one.alert.set_signals(signals[one.alert.incident()]);
  for (auto at = entries_.begin(); at != entries_.end();) {
    entry& one = at->second;
    const bool absent = one.seen != now;
    if (absent && !one.firing) {  // a blink
      at = entries_.erase(at);
      continue;
    }
    const bool over = absent && (now - one.seen >= settings_.ends_after);
    const bool consequence = one.alert.incident().starts_with(std::string(node_down) + ":") &&
                             one.alert.name() != node_down;
    const bool of_cluster = one.alert.name() == node_down;
    if (over) {
      one.alert.set_ended_us(wall(now));
      if (one.told) out.push_back(one.alert);
      if (one.alert.name() == node_down) lost_nodes_.erase(one.alert.subject());
      ended_.push_back(one.alert);
      if (ended_.size() > alerts_max) ended_.pop_front();
      at = entries_.erase(at);
      continue;
    }
    const bool due =
        one.firing && !absent && (!one.told || now - one.told_at >= settings_.told_again_after);
    if (due) {
      if (!consequence && (!of_cluster || tells) && (one.told || may_tell(now))) {
        one.told = true;
        one.told_at = now;
        out.push_back(one.alert);
      } else if (one.told_at == time_point_us{}) {
        one.told_at = now;
        ++held_back_;
      }
    }
    ++at;
  }
  return out;
}

std::vector<proto::Alert> alert_book::shown() const {
  std::vector<proto::Alert> out;
  for (const auto& [key, one] : entries_)
    if (one.firing) out.push_back(one.alert);
  std::stable_sort(out.begin(), out.end(), [](const proto::Alert& a, const proto::Alert& b) {
    return a.severity() != b.severity() ? a.severity() > b.severity() : a.since_us() > b.since_us();
  });
  for (auto at = ended_.rbegin(); at != ended_.rend() && out.size() < shown_max; ++at)
    out.push_back(*at);
  if (out.size() > shown_max) out.resize(shown_max);
  return out;
}

}  // namespace troupe
