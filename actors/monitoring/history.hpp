// The last minutes as series: one value of each every step, in a ring.
//
// A step at which nothing was measured (the process stood still) is NaN. At most
// telemetry::history_series_max series; further names are left out. Pure; one thread.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/telemetry_bounds.hpp"

namespace troupe {

struct series_value {
  std::string name;  // "tokens_per_second"
  const char* unit;  // "tokens/s"
  double value = 0;
};

class history {
 public:
  explicit history(time_point_us step = telemetry::history_step) : step_(step) {}

  bool due(time_point_us now) const { return last_ < 0 || now / step_ > last_; }
  // Each name once; those that are known and not here get NaN.
  void add(const std::vector<series_value>& values, time_point_us now);
  // Of the last `seconds` (0: all), those named (none: all).
  void write(const proto::ReadHistory& asked, std::int64_t wall_offset_us,
             proto::NodeHistory& to) const;
  // 0.0 where nothing is known.
  double latest(std::string_view name) const;

 private:
  struct one {
    std::string unit;
    std::deque<float> values;
  };
  void push(one& to, float value);
  time_point_us step_;
  std::int64_t last_ = -1;  // number of the newest step
  std::map<std::string, one, std::less<>> series_;
};

}  // namespace troupe
