// When to look again at something that seldom changes: soon where it changed or is wrong, ever more
// slowly while it is well and stays as it is. Pure.
#pragma once

#include <algorithm>
#include <optional>

#include "actors/core.hpp"

namespace troupe::cluster {

class check_pace {
 public:
  static constexpr time_point_us shortest{1'000'000}, longest{60'000'000};

  bool due(time_point_us now) const { return !looked_at_ || now - *looked_at_ >= wait_; }
  void looked(time_point_us now) { looked_at_ = now; }
  // What was found. steady: well, and as it was.
  void found(bool steady) { wait_ = steady ? std::min(2 * wait_, longest) : shortest; }
  time_point_us wait() const { return wait_; }

 private:
  std::optional<time_point_us> looked_at_;
  time_point_us wait_ = shortest;
};

}  // namespace troupe::cluster
