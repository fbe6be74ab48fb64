#include "actors/monitoring/sliding_histogram.hpp"

#include <algorithm>
#include <cmath>

namespace troupe {
namespace {

constexpr double least = 1e-6;

int bucket_of(double value, int buckets) {
  if (value <= least) return 0;
  const double place = std::ceil(8 * std::log2(value / least));
  return static_cast<int>(std::clamp(place, 0.0, static_cast<double>(buckets - 1)));
}

double upper_edge(int bucket) {
  return least * std::exp2(bucket / 8.0);
}

}  // namespace

void sliding_histogram::add(double value, time_point_us now) {
  if (!(value >= 0)) return;
  const std::int64_t number = number_at(now);
  slice& at = ring_[static_cast<std::size_t>(number % slices)];
  if (at.number != number) {
    at = {};
    at.number = number;
  }
  ++at.count;
  at.max = std::max(at.max, value);
  ++at.in[static_cast<std::size_t>(bucket_of(value, buckets))];
}

proto::Percentiles sliding_histogram::read(time_point_us now) const {
  const std::int64_t newest = number_at(now);
  std::array<std::uint64_t, buckets> sum{};
  std::uint64_t count = 0;
  double max = 0;
  for (const slice& at : ring_) {
    if (at.number < 0 || at.number > newest || newest - at.number >= slices) continue;
    count += at.count;
    max = std::max(max, at.max);
    for (int i = 0; i < buckets; ++i)
      sum[static_cast<std::size_t>(i)] += at.in[static_cast<std::size_t>(i)];
  }
  proto::Percentiles out;
  out.set_count(count);
  out.set_max(max);
  if (count == 0) return out;
  const auto at_rank = [&](double share) {
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count))));
    std::uint64_t seen = 0;
    for (int i = 0; i < buckets; ++i) {
      seen += sum[static_cast<std::size_t>(i)];
      if (seen >= rank) return i == buckets - 1 ? max : std::min(upper_edge(i), max);
    }
    return max;
  };
  out.set_p50(at_rank(0.50));
  out.set_p95(at_rank(0.95));
  out.set_p99(at_rank(0.99));
  return out;
}

}  // namespace troupe
