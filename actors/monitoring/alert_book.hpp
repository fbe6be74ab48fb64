// From conditions to alerts: what lasts is told once, what follows from a lost node is told as one
// incident, and never more than so many a minute.
//
// A condition becomes an alert when it has held for holds_for, and ends when it has been absent for
// ends_after. Conditions that begin within incident_window of a node's loss, or are about that
// node, get its incident and are not told apart. Bounded: alerts_max alerts, the oldest ended ones
// leave. Pure; one thread.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/alert_settings.hpp"

namespace troupe {

// Something that is not as it should be, now.
struct condition {
  std::string name, subject;
  proto::Severity severity = proto::SEVERITY_WARNING;
  double value = 0, limit = 0;
  std::string text;
  std::string node = {};  // that it is about; empty: none in particular
  bool at_once = false;   // needs not hold
};

class alert_book {
 public:
  static constexpr std::size_t alerts_max = 256, shown_max = 64;

  alert_book(std::string node, alert_settings settings)
      : node_(std::move(node)), settings_(std::move(settings)) {}

  // All conditions that hold now. tells: whether this node is the one that tells what concerns the
  // whole cluster. What is to be told: lasting ones, and ended ones with ended_us.
  std::vector<proto::Alert> update(const std::vector<condition>& now_true, bool tells,
                                   std::int64_t wall_offset_us, time_point_us now);

  std::vector<proto::Alert> shown() const;  // lasting first, then the newest
  std::uint64_t held_back() const { return held_back_; }

 private:
  struct entry {
    proto::Alert alert;
    time_point_us began{}, seen{}, told_at{};
    bool firing = false, told = false, ended = false;
    std::string about_node;
  };
  std::string incident_of(const condition& what, time_point_us now) const;
  bool may_tell(time_point_us now);
  void forget_old();

  const std::string node_;
  const alert_settings settings_;
  std::map<std::string, entry> entries_;  // by name, subject
  std::deque<proto::Alert> ended_;
  std::map<std::string, time_point_us> lost_nodes_;
  std::deque<time_point_us> told_times_;
  std::uint64_t held_back_ = 0;
};

inline constexpr const char* node_down = "node_down";

}  // namespace troupe
