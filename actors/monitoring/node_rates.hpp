// How fast a node's counters grow: of its links, its actors, its jobs; and these as series.
//
// Fed with the node's status every history step; a rate is of the time between the last two, so a
// counter that began again counts as 0 once. Bounded by what the status holds. Pure; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/history.hpp"

namespace troupe {

class node_rates {
 public:
  void feed(const proto::NodeStatus& status, time_point_us now);
  // Adds the rates of links and actors.
  void write(proto::NodeStatus& to) const;
  double tokens_per_second() const { return tokens_; }
  double link_bytes_per_second() const;  // of all links, both ways
  double failed_per_second() const { return failed_; }
  double ended_per_second() const { return ended_; }
  // The status's numbers and the rates, as the history keeps them.
  std::vector<series_value> series(const proto::NodeStatus& status) const;

 private:
  struct link_rate {
    double sent = 0, received = 0;
  };
  struct actor_rate {
    double messages = 0, handling_us = 0;
  };
  std::optional<proto::NodeStatus> last_;
  time_point_us last_at_{};
  std::map<std::string, link_rate> links_;
  std::map<std::string, actor_rate> actors_;
  double tokens_ = 0, failed_ = 0, ended_ = 0;
};

}  // namespace troupe
