// How far this node trusts its own clock of events (Lifeguard: Dadgar, Phillips, Currey, 2018): one
// that is late on its own ticks has no right to call others late.
//
// The score is 0 when all is well and at most score_max; it grows with each late tick, by how late
// it was, and falls by one for each calm_time of punctual ones. Time-outs are multiplied by
// factor(). Pure.
#pragma once

#include <algorithm>
#include <optional>

#include "actors/core.hpp"

namespace troupe::cluster {

class local_health {
 public:
  static constexpr int score_max = 8;
  static constexpr time_point_us calm_time{1'000'000};

  // unit: a tick that is late by half of it counts, and each further whole one counts once more.
  local_health(time_point_us tick_every, time_point_us unit)
      : tick_every_(tick_every), unit_(std::max(unit, time_point_us(1))) {}

  // Returns by how much this tick was late: time in which this node did not look.
  time_point_us tick(time_point_us now) {
    const time_point_us before = last_.value_or(now - tick_every_);
    last_ = now;
    const time_point_us late = now - before - tick_every_;
    if (2 * late > unit_) {
      const auto more = std::min<time_point_us::rep>(1 + late / unit_, score_max);
      score_ = std::min(score_max, score_ + static_cast<int>(more));
      calm_since_ = now;
      return late;
    }
    if (score_ > 0 && now - calm_since_ >= calm_time) {
      --score_;
      calm_since_ = now;
    }
    return {};
  }

  int score() const { return score_; }
  int factor() const { return 1 + score_; }

 private:
  const time_point_us tick_every_, unit_;
  std::optional<time_point_us> last_;
  time_point_us calm_since_{};
  int score_ = 0;
};

}  // namespace troupe::cluster
