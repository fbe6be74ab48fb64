// What is usual at this time of day, learned from what was: the median and its spread (MAD) over
// the same hour and its neighbours, and how far a value lies from it.
//
// One value a minute; an hour keeps its last hour_values. It judges once usual_min values are
// there, and learns nothing from what it calls unusual, unless that lasts (accept_after in a row):
// then it is how things are now. Bounded: 24 * hour_values numbers. Pure; one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace troupe {

class seasonal_baseline {
 public:
  static constexpr std::size_t hour_values = 120, usual_min = 60, accept_after = 60;
  static constexpr double unusual_from = 6;

  struct verdict {
    double score = 0;  // in robust standard deviations; above 0: more than usual
    double usual = 0;  // the median
    bool unusual() const { return std::fabs(score) >= unusual_from; }
  };

  // hour: 0 to 23. nullopt: not enough is known.
  std::optional<verdict> judge(double value, int hour) const {
    std::vector<double> known;
    for (const int of : {hour + 23, hour, hour + 1}) {
      const auto& values = hours_[static_cast<std::size_t>(of % 24)];
      known.insert(known.end(), values.begin(), values.end());
    }
    if (known.size() < usual_min) return std::nullopt;
    const double middle = median(known);
    for (double& one : known) one = std::fabs(one - middle);
    const double spread = std::max({median(known), std::fabs(middle) * 0.02, 1e-9});
    return verdict{0.6745 * (value - middle) / spread, middle};
  }

  std::optional<verdict> feed(double value, int hour) {
    if (!std::isfinite(value)) return std::nullopt;
    const auto judged = judge(value, hour);
    strange_ = judged && judged->unusual() ? strange_ + 1 : 0;
    if (strange_ > 0 && strange_ < accept_after) return judged;
    auto& values = hours_[static_cast<std::size_t>(hour % 24)];
    values.push_back(value);
    if (values.size() > hour_values) values.pop_front();
    return judged;
  }

 private:
  static double median(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
  std::array<std::deque<double>, 24> hours_;
  std::size_t strange_ = 0;
};

}  // namespace troupe
