// Whether an idle engine should wait for more sequences before it begins, and until when.
//
// It waits only where that has company to gain: sequences come while others are still there, and
// closer together than half of `longest`. A client alone, however fast it asks, never waits. A wait
// ends `longest` after the first sequence came, or earlier when nothing came for twice the usual
// gap. While anything runs nobody waits: a sequence joins at the next step. Pure; time is an
// argument.
#pragma once

#include <algorithm>
#include <optional>

#include "actors/core.hpp"

namespace troupe {

class batch_window {
 public:
  // longest 0: never waits.
  explicit batch_window(time_point_us longest = {}) : longest_(longest), gap_(10 * longest) {}

  // A sequence came; with_others: while another one waited or ran.
  void arrived(time_point_us now, bool with_others) {
    const time_point_us gap = last_ ? std::min(now - *last_, 10 * longest_) : 10 * longest_;
    gap_ = (3 * gap_ + gap) / 4;
    company_ = (3 * company_ + (with_others ? whole : 0)) / 4;
    last_ = now;
  }

  // Until when those that wait are held back; `first` is the arrival of the oldest.
  std::optional<time_point_us> until(time_point_us first) const {
    if (longest_ <= time_point_us{0} || !last_) return std::nullopt;
    if (gap_ > longest_ / 2 || company_ < whole / 2) return std::nullopt;
    return std::min(first + longest_, *last_ + 2 * gap_);
  }

 private:
  static constexpr int whole = 1024;
  time_point_us longest_;
  time_point_us gap_;  // between arrivals, smoothed
  int company_ = 0;    // share of arrivals with others, smoothed, in 1/1024
  std::optional<time_point_us> last_;
};

}  // namespace troupe
