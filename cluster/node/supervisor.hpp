// Restarts actors that ended by themselves, within a budget; past it the node gives up, for a fresh
// process to take over.
//
// Pure; the daemon feeds it and carries out what it says.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "actors/core.hpp"

namespace troupe::cluster {

class restart_budget {
 public:
  restart_budget(std::uint32_t restarts_max, std::chrono::milliseconds window)
      : restarts_max_(restarts_max), window_(window) {}

  // An actor has ended. True: start it again; false: the budget is spent.
  bool allow(const std::string& actor, time_point_us now) {
    std::deque<time_point_us>& past = restarts_[actor];
    while (!past.empty() && now - past.front() >= window_) past.pop_front();
    if (past.size() >= restarts_max_) return false;
    past.push_back(now);
    return true;
  }

 private:
  std::uint32_t restarts_max_;
  std::chrono::milliseconds window_;
  std::map<std::string, std::deque<time_point_us>> restarts_;
};

}  // namespace troupe::cluster
