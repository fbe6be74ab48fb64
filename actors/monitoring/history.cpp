#include "actors/monitoring/history.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace troupe {
namespace {
constexpr float nothing = std::numeric_limits<float>::quiet_NaN();
}

void history::push(one& to, float value) {
  to.values.push_back(value);
  if (to.values.size() > telemetry::history_values_max) to.values.pop_front();
}

void history::add(const std::vector<series_value>& values, time_point_us now) {
  const std::int64_t number = now / step_;
  const std::int64_t most = telemetry::history_values_max;
  const std::int64_t skipped =
      last_ < 0 ? 0 : std::clamp<std::int64_t>(number - last_ - 1, 0, most);
  last_ = number;
  for (auto& [name, series] : series_)
    for (std::int64_t i = 0; i < skipped; ++i) push(series, nothing);
  std::set<std::string_view> told;
  for (const series_value& value : values) {
    if (!told.insert(value.name).second) continue;
    auto known = series_.find(value.name);
    if (known == series_.end()) {
      if (series_.size() >= telemetry::history_series_max) continue;
      known = series_.emplace(value.name, one{value.unit, {}}).first;
    }
    push(known->second, static_cast<float>(value.value));
  }
  for (auto& [name, series] : series_)
    if (!told.contains(name)) push(series, nothing);
}

void history::write(const proto::ReadHistory& asked, std::int64_t wall_offset_us,
                    proto::NodeHistory& to) const {
  to.set_step_ms(static_cast<std::uint32_t>(step_.count() / 1000));
  if (last_ < 0) return;
  to.set_end_us(static_cast<std::uint64_t>(last_ * step_.count() + wall_offset_us));
  const auto most = static_cast<std::size_t>(telemetry::history_values_max);
  const std::size_t wanted =
      asked.seconds() == 0
          ? most
          : std::min<std::size_t>(
                most, static_cast<std::size_t>(std::uint64_t{asked.seconds()} * 1'000'000 /
                                               static_cast<std::uint64_t>(step_.count())));
  for (const auto& [name, series] : series_) {
    if (asked.series_size() > 0 &&
        std::find(asked.series().begin(), asked.series().end(), name) == asked.series().end())
      continue;
    proto::Series& out = *to.add_series();
    out.set_name(name);
    out.set_unit(series.unit);
    const std::size_t count = std::min(series.values.size(), wanted);
    out.mutable_values()->Add(series.values.end() - static_cast<std::ptrdiff_t>(count),
                              series.values.end());
  }
}

double history::latest(std::string_view name) const {
  const auto known = series_.find(name);
  if (known == series_.end() || known->second.values.empty()) return 0;
  const float value = known->second.values.back();
  return std::isnan(value) ? 0 : static_cast<double>(value);
}

}  // namespace troupe
