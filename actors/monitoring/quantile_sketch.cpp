#include "actors/monitoring/quantile_sketch.hpp"

#include <algorithm>
#include <cmath>

namespace troupe {
namespace {

constexpr double least = 1e-6, most = 1e6;
constexpr double error_min = 0.005, error_max = 0.2;

}  // namespace

quantile_sketch::quantile_sketch(double relative_error)
    : error_(std::clamp(relative_error, error_min, error_max)),
      log_growth_(std::log((1 + error_) / (1 - error_))),
      lowest_(bucket_of(least)),
      highest_(bucket_of(most)) {}

std::int32_t quantile_sketch::bucket_of(double value) const {
  return static_cast<std::int32_t>(std::ceil(std::log(value) / log_growth_));
}

// Between the bucket's edges, as far from both in relation.
double quantile_sketch::value_of(std::int32_t bucket) const {
  return std::exp(bucket * log_growth_) * (1 - error_);
}

void quantile_sketch::count_in(std::int32_t bucket, std::uint64_t times) {
  if (counts_.empty()) {
    first_ = bucket;
    counts_.push_back(0);
  }
  if (bucket < first_) {
    counts_.insert(counts_.begin(), static_cast<std::size_t>(first_ - bucket), 0);
    first_ = bucket;
  }
  const auto place = static_cast<std::size_t>(bucket - first_);
  if (place >= counts_.size()) counts_.resize(place + 1, 0);
  counts_[place] += times;
}

void quantile_sketch::add(double value, std::uint64_t times) {
  if (!(value >= 0) || times == 0) return;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += times;
  if (std::isfinite(value)) sum_ += value * static_cast<double>(times);
  if (value < least)
    zeros_ += times;
  else
    count_in(value >= most ? highest_ : std::clamp(bucket_of(value), lowest_, highest_), times);
}

bool quantile_sketch::merge(const quantile_sketch& other) {
  if (other.error_ != error_) return false;
  if (other.count_ == 0) return true;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
  zeros_ += other.zeros_;
  for (std::size_t i = 0; i < other.counts_.size(); ++i)
    if (other.counts_[i] > 0)
      count_in(other.first_ + static_cast<std::int32_t>(i), other.counts_[i]);
  return true;
}

void quantile_sketch::clear() {
  counts_.clear();
  zeros_ = count_ = 0;
  sum_ = min_ = max_ = 0;
}

double quantile_sketch::quantile(double share) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  if (rank == count_) return max_;
  std::uint64_t seen = zeros_;
  if (rank <= seen) return min_;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (rank <= seen)
      return std::clamp(value_of(first_ + static_cast<std::int32_t>(i)), min_, max_);
  }
  return max_;
}

std::uint64_t quantile_sketch::count_up_to(double value) const {
  if (!(value >= 0)) return 0;
  if (value >= max_) return count_;
  std::uint64_t out = zeros_;
  if (value < least) return out;
  const std::int32_t last = bucket_of(value * (1 + error_)) - 1;
  for (std::size_t i = 0; i < counts_.size() && first_ + static_cast<std::int32_t>(i) <= last; ++i)
    out += counts_[i];
  return out;
}

proto::Percentiles quantile_sketch::percentiles() const {
  proto::Percentiles out;
  out.set_count(count_);
  out.set_p50(quantile(0.50));
  out.set_p95(quantile(0.95));
  out.set_p99(quantile(0.99));
  out.set_max(max_);
  return out;
}

void quantile_sketch::write(proto::Sketch& to) const {
  to.Clear();
  to.set_relative_error(error_);
  to.set_count(count_);
  to.set_sum(sum_);
  to.set_min(min_);
  to.set_max(max_);
  to.set_zeros(zeros_);
  to.set_first(first_);
  to.mutable_counts()->Add(counts_.begin(), counts_.end());
}

std::optional<quantile_sketch> quantile_sketch::read(const proto::Sketch& from) {
  if (from.count() == 0) return quantile_sketch(usual_error);
  if (!(from.relative_error() >= error_min && from.relative_error() <= error_max))
    return std::nullopt;
  quantile_sketch out(from.relative_error());
  const std::int64_t last = std::int64_t{from.first()} + from.counts_size() - 1;
  if (from.counts_size() > 0 && (from.first() < out.lowest_ || last > out.highest_))
    return std::nullopt;
  std::uint64_t seen = from.zeros();
  for (const std::uint64_t count : from.counts()) {
    if (count > from.count()) return std::nullopt;
    seen += count;
  }
  const bool sound = seen == from.count() && from.min() >= 0 && from.max() >= from.min() &&
                     !std::isnan(from.sum());
  if (!sound) return std::nullopt;
  out.first_ = from.first();
  out.counts_.assign(from.counts().begin(), from.counts().end());
  out.zeros_ = from.zeros();
  out.count_ = from.count();
  out.sum_ = from.sum();
  out.min_ = from.min();
  out.max_ = from.max();
  return out;
}

}  // namespace troupe
