// How unlikely a silence is, learnt from when beats came (phi accrual: Hayashibara and others,
// 2004): phi = -log10 of the chance that a beat comes later still, intervals taken as normally
// distributed. phi 8: wrong once in 10^8 silences.
//
// The intervals' mean and deviation are those of the last samples_max beats, the deviation at least
// deviation_min; pause_max is added to the mean: so long a pause is no reason for doubt. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>

#include "actors/core.hpp"

namespace troupe::cluster {

class accrual_detector {
 public:
  static constexpr std::size_t samples_max = 32;
  static constexpr time_point_us deviation_min{50'000};
  static constexpr double verdict = 8;

  // expected: the interval before anything is learnt.
  explicit accrual_detector(time_point_us expected = {}) { add(expected); }

  void add(time_point_us interval) {
    samples_[added_++ % samples_max] = static_cast<double>(interval.count());
    count_ = std::min(added_, samples_max);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count_; ++i) sum += samples_[i];
    mean_ = sum / static_cast<double>(count_);
    for (std::size_t i = 0; i < count_; ++i)
      squares += (samples_[i] - mean_) * (samples_[i] - mean_);
    deviation_ = std::sqrt(squares / static_cast<double>(count_));
  }

  time_point_us mean() const { return time_point_us(static_cast<time_point_us::rep>(mean_)); }

  double phi(time_point_us silence, time_point_us pause_max) const {
    const double deviation = std::max(deviation_, static_cast<double>(deviation_min.count()));
    const double expected = mean_ + static_cast<double>(pause_max.count());
    const double y = (static_cast<double>(silence.count()) - expected) / deviation;
    return -std::log10(0.5 * std::erfc(y / std::sqrt(2.0)));
  }

 private:
  std::array<double, samples_max> samples_{};
  std::size_t added_ = 0, count_ = 0;
  double mean_ = 0, deviation_ = 0;
};

}  // namespace troupe::cluster
