// Percentiles of the last window: a ring of slices of time, each with a quantile_sketch.
//
// What is older than the window does not count; a window is told to within one of its six slices.
// Pure; one thread.
#pragma once

#include <algorithm>
#include <array>

#include "actors/core.hpp"
#include "actors/monitoring/quantile_sketch.hpp"

namespace troupe {

class sliding_sketch {
 public:
  explicit sliding_sketch(time_point_us window)
      : slice_(std::max<time_point_us>(window / slices, time_point_us{1})) {}

  void add(double value, time_point_us now, std::uint64_t times = 1) {
    const std::int64_t number = now / slice_;
    slice& at = ring_[static_cast<std::size_t>(number % slices)];
    if (at.number != number) {
      at.values.clear();
      at.number = number;
    }
    at.values.add(value, times);
  }
  quantile_sketch read(time_point_us now) const {
    const std::int64_t newest = now / slice_;
    quantile_sketch out;
    for (const slice& at : ring_)
      if (at.number >= 0 && at.number <= newest && newest - at.number < slices)
        out.merge(at.values);
    return out;
  }

 private:
  static constexpr int slices = 6;
  struct slice {
    std::int64_t number = -1;  // which slice of time it holds
    quantile_sketch values;
  };
  time_point_us slice_;
  std::array<slice, slices> ring_{};
};

}  // namespace troupe
