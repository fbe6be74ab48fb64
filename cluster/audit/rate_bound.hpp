// So many events at once, then one for each interval; the others are counted, for the next one to
// tell. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace troupe::audit {

class rate_bound {
 public:
  using clock = std::chrono::steady_clock;
  rate_bound(std::uint32_t burst, std::chrono::milliseconds interval)
      : burst_(burst), left_(burst), interval_(interval) {}

  // How many were left out before this one; nullopt: this one is left out as well.
  std::optional<std::uint64_t> admit(clock::time_point now) {
    if (!refilled_at_) refilled_at_ = now;
    const auto places = (now - *refilled_at_) / interval_;
    if (places > 0) {
      left_ = static_cast<std::uint32_t>(std::min<std::int64_t>(burst_, left_ + places));
      *refilled_at_ += places * interval_;
    }
    if (left_ == 0) {
      ++left_out_;
      return std::nullopt;
    }
    --left_;
    return std::exchange(left_out_, 0);
  }

 private:
  std::uint32_t burst_, left_;
  std::chrono::milliseconds interval_;
  std::optional<clock::time_point> refilled_at_;
  std::uint64_t left_out_ = 0;
};

}  // namespace troupe::audit
