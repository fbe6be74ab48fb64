// Percentiles of the last window in bounded memory: a ring of slices, each with buckets that grow
// by 2^(1/8).
//
// A percentile is the upper edge of its bucket, at most the largest value seen: never below the
// true one, and at most 9.1 % above it, for values from 1 µs to about 12 days (in seconds); smaller
// and larger ones count in the outermost buckets. Pure; one thread.
#pragma once

#include <array>
#include <vector>

#include "actors/core.hpp"

namespace troupe {

class sliding_histogram {
 public:
  explicit sliding_histogram(time_point_us window)
      : slice_(std::max<time_point_us>(window / slices, time_point_us{1})) {}

  // NaN and negative values are not counted.
  void add(double value, time_point_us now);
  proto::Percentiles read(time_point_us now) const;

 private:
  static constexpr int slices = 6;
  static constexpr int buckets = 320;  // 40 octaves of 8
  struct slice {
    std::int64_t number = -1;  // which slice of time it holds
    std::uint64_t count = 0;
    double max = 0;
    std::array<std::uint32_t, buckets> in{};
  };
  std::int64_t number_at(time_point_us now) const { return now / slice_; }

  time_point_us slice_;
  std::array<slice, slices> ring_{};
};

}  // namespace troupe
