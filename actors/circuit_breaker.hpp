// Leaves a sick service alone.
//
// Closed: calls go. Open, after `failures_to_open` failures in a row: none goes for a pause, which
// doubles with each further failure. Half-open, when that is over: one call, the trial, may go.
// Its success closes the breaker, its failure opens it for longer; a trial that nothing is heard of
// makes room for another after the same pause. A service that is called by one caller at a time
// need not say tried(). Pure.
#pragma once

#include <algorithm>

#include "actors/back_off.hpp"

namespace troupe {

enum class breaker_state { closed, open, half_open };

class circuit_breaker {
 public:
  circuit_breaker(std::uint32_t failures_to_open, back_off pauses, std::uint64_t seed = 0)
      : failures_to_open_(std::max(1u, failures_to_open)), pauses_(pauses), draws_(seed) {}

  bool allows(time_point_us now) const { return closed() || now >= retry_at_; }
  bool closed() const { return failures_ < failures_to_open_; }
  breaker_state state(time_point_us now) const {
    if (closed()) return breaker_state::closed;
    return tried_ || now >= retry_at_ ? breaker_state::half_open : breaker_state::open;
  }
  std::uint32_t failures() const { return failures_; }  // in a row
  time_point_us retry_at() const { return retry_at_; }  // unless it is closed

  // A call that it allowed goes out.
  void tried(time_point_us now) {
    if (closed()) return;
    tried_ = true;
    retry_at_ = now + pause_;
  }
  void succeeded() {
    failures_ = 0;
    tried_ = false;
  }
  // Calls that were out when it opened say nothing new.
  void failed(time_point_us now) {
    if (!closed() && now < retry_at_ && !tried_) return;
    ++failures_;
    tried_ = false;
    if (closed()) return;
    pause_ = pauses_.pause(failures_ - failures_to_open_ + 1, draws_.next());
    retry_at_ = now + pause_;
  }

 private:
  std::uint32_t failures_to_open_;
  back_off pauses_;
  seeded_draws draws_;
  std::uint32_t failures_ = 0;
  bool tried_ = false;  // half-open: the trial is out
  time_point_us pause_{}, retry_at_{};
};

}  // namespace troupe
