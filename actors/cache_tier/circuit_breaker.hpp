// Leaves a sick service alone: after `failures_to_open` failures in a row no call is allowed for a
// while, which doubles from retry_min to retry_max with each further failure; then one call may
// try. Pure.
#pragma once

#include <algorithm>

#include "actors/core.hpp"

namespace troupe {

class circuit_breaker {
 public:
  circuit_breaker(std::uint32_t failures_to_open, std::chrono::milliseconds retry_min,
                  std::chrono::milliseconds retry_max)
      : failures_to_open_(std::max(1u, failures_to_open)),
        retry_min_(retry_min),
        retry_max_(retry_max) {}

  bool allows(time_point_us now) const { return failures_ < failures_to_open_ || now >= retry_at_; }
  void succeeded() {
    failures_ = 0;
    pause_ = {};
  }
  void failed(time_point_us now) {
    if (++failures_ < failures_to_open_) return;
    pause_ = pause_ == time_point_us{} ? retry_min_ : std::min(pause_ * 2, retry_max_);
    retry_at_ = now + pause_;
  }
  bool closed() const { return failures_ < failures_to_open_; }

 private:
  std::uint32_t failures_to_open_;
  time_point_us retry_min_, retry_max_;
  std::uint32_t failures_ = 0;
  time_point_us pause_{}, retry_at_{};
};

}  // namespace troupe
