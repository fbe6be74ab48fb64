// What of a node's state is not as it should be: thresholds, objectives, and what is unusual for
// this time of day. Fed at each history step. Pure; one thread.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/monitoring/alert_book.hpp"
#include "actors/monitoring/monitoring_settings.hpp"
#include "actors/monitoring/seasonal_baseline.hpp"

namespace troupe {

struct alert_input {
  const proto::NodeStatus& status;
  double tokens_per_second = 0;
  std::vector<proto::Objective> objectives;
  std::vector<peer_seen> nodes;        // this one as well
  int hour = 0;                        // of the day, UTC
  std::set<std::string> were_up = {};  // of the nodes; some came and went between two looks
};

class alert_rules {
 public:
  alert_rules(std::string node, const alert_settings& settings)
      : node_(std::move(node)), settings_(settings) {}
  std::vector<condition> look(const alert_input& in, time_point_us now);

 private:
  struct counted {
    time_point_us at{};
    std::uint64_t ended = 0, failed = 0;
  };
  void look_at_jobs(const alert_input& in, time_point_us now, std::vector<condition>& out);
  void look_at_machine(const alert_input& in, std::vector<condition>& out) const;
  void look_at_models(const alert_input& in, std::vector<condition>& out) const;
  void look_at_nodes(const alert_input& in, std::vector<condition>& out);
  void look_at_actors(const alert_input& in, time_point_us now, std::vector<condition>& out);
  void look_at_objectives(const alert_input& in, std::vector<condition>& out) const;
  void look_at_usual(const alert_input& in, time_point_us now, std::vector<condition>& out);

  struct learned {
    seasonal_baseline known;
    double sum = 0;
    int count = 0;
    std::int64_t minute = -1;
    std::optional<seasonal_baseline::verdict> said;
  };
  struct restarted {
    std::uint32_t restarts = 0;
    time_point_us at{};
  };
  std::string node_;
  alert_settings settings_;
  std::deque<counted> jobs_;  // of the window
  std::map<std::string, bool> were_up_;
  std::map<std::string, restarted> restarts_;
  std::map<std::string, learned> usual_;
};

}  // namespace troupe
