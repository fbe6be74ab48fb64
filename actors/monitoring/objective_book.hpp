// How many of a model's jobs met its latency objective in the last window. Pure; one thread.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "actors/core.hpp"
#include "actors/monitoring/alert_settings.hpp"

namespace troupe {

class objective_book {
 public:
  static constexpr std::size_t models_max = 64;

  objective_book(std::vector<objective_wish> wishes, std::chrono::milliseconds window)
      : wishes_(std::move(wishes)),
        window_(window),
        slice_(std::max<time_point_us>(time_point_us(window) / slices, time_point_us{1})) {}

  // A failed job misses its objective. Models without one are not kept.
  void job_ended(const std::string& model, std::chrono::microseconds first_token, bool failed,
                 time_point_us now);
  std::vector<proto::Objective> read(time_point_us now) const;

 private:
  static constexpr int slices = 12;
  struct counts {
    std::int64_t number = -1;
    std::uint64_t jobs = 0, within = 0;
  };
  const objective_wish* wish_for(std::string_view model) const;

  std::vector<objective_wish> wishes_;
  std::chrono::milliseconds window_;
  time_point_us slice_;
  std::map<std::string, std::array<counts, slices>> models_;
};

}  // namespace troupe
