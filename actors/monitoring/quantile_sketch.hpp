// Percentiles of many values in little memory, and of several nodes' values together.
//
// Buckets grow by (1 + e) / (1 - e), so that a percentile is within relative error e of the true
// one, for values from 1e-6 to 1e6; smaller ones count as zero, larger ones in the last bucket.
// The buckets lie at fixed places: merging adds counts, is exact, and its order does not matter.
// At most 1382 buckets at e = 0.01. Pure; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/telemetry.pb.h"

namespace troupe {

class quantile_sketch {
 public:
  static constexpr double usual_error = 0.01;
  quantile_sketch() : quantile_sketch(usual_error) {}
  explicit quantile_sketch(double relative_error);

  // NaN and negative values are not counted.
  void add(double value, std::uint64_t times = 1);
  // False, and nothing is added: the other one has another relative error.
  bool merge(const quantile_sketch& other);
  void clear();

  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }
  double max() const { return max_; }
  // Of the value of rank ceil(share * count), from the lowest; 0 where nothing was counted.
  double quantile(double share) const;
  std::uint64_t count_up_to(double value) const;  // of the buckets that lie wholly at or below it
  proto::Percentiles percentiles() const;

  void write(proto::Sketch& to) const;
  // nullopt: it is none (a hole, a bucket outside, counts that do not add up).
  static std::optional<quantile_sketch> read(const proto::Sketch& from);

 private:
  std::int32_t bucket_of(double value) const;
  double value_of(std::int32_t bucket) const;
  void count_in(std::int32_t bucket, std::uint64_t times);

  double error_, log_growth_;
  std::int32_t lowest_, highest_;  // buckets
  std::int32_t first_ = 0;         // the bucket that counts_[0] is of
  std::vector<std::uint64_t> counts_;
  std::uint64_t zeros_ = 0, count_ = 0;
  double sum_ = 0, min_ = 0, max_ = 0;
};

}  // namespace troupe
