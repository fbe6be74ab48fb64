// The pictures of the last quarter of an hour, and what was heard of the time before the first.
// Bounded in number and bytes. Threading: one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "proto/telemetry.pb.h"

namespace troupe::console {

using picture_ptr = std::shared_ptr<const proto::ClusterPicture>;
using history_ptr = std::shared_ptr<const proto::ClusterHistory>;

inline constexpr std::uint64_t timeline_us = 15ull * 60 * 1'000'000;
inline constexpr std::uint64_t picture_step_us = 2'000'000;  // one is kept of each
inline constexpr std::size_t picture_bytes_max = 64u << 20;  // of all kept ones together

struct moment {
  picture_ptr picture;       // null: nothing is known of that time
  std::uint64_t at_us = 0;   // when it was heard
  bool from_series = false;  // only series are known of it: no jobs, actors and models
};

class timeline {
 public:
  timeline();
  void add(picture_ptr picture, std::uint64_t now_us);
  void add(history_ptr history);
  const picture_ptr& newest() const { return newest_; }
  std::uint64_t newest_us() const { return newest_us_; }
  const proto::ClusterHistory& history() const { return *history_; }
  std::uint64_t oldest_us(std::uint64_t now_us) const;  // that can be looked at
  moment at(std::uint64_t us) const;                    // the last one at or before
  std::size_t kept() const { return kept_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct kept_picture {
    picture_ptr picture;
    std::uint64_t at_us;
    std::size_t bytes;
  };
  std::deque<kept_picture> kept_;
  std::size_t bytes_ = 0;
  picture_ptr newest_;
  std::uint64_t newest_us_ = 0;
  history_ptr history_;
};

// Nodes with what their series say of a moment. Null: no series reaches it.
picture_ptr picture_of(const proto::ClusterHistory& history, std::uint64_t at_us);

}  // namespace troupe::console
