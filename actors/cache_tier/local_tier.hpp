// The tier inside the process: answers by key, bounded in bytes, the least recently used goes
// first, each lives for its TTL. Pure: time is an argument. One thread.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "actors/core.hpp"
#include "proto/cache.pb.h"

namespace troupe {

class local_tier {
 public:
  local_tier(std::uint64_t bytes_max, std::chrono::seconds ttl)
      : bytes_max_(bytes_max), ttl_(ttl) {}

  // The answer, which counts as used now; nullopt where it is absent or too old.
  std::optional<proto::CachedAnswer> find(const std::string& key, time_point_us now);
  // False: larger than the whole tier.
  bool store(const std::string& key, const proto::CachedAnswer& answer, time_point_us now);

  std::uint64_t entries() const { return by_key_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t evictions() const { return evictions_; }  // by room or age

 private:
  struct entry {
    std::string key;
    proto::CachedAnswer answer;
    std::uint64_t bytes = 0;
    time_point_us expires{};
  };
  void erase(std::list<entry>::iterator at);

  std::uint64_t bytes_max_;
  std::chrono::seconds ttl_;
  std::list<entry> by_use_;  // newest first
  std::unordered_map<std::string, std::list<entry>::iterator> by_key_;
  std::uint64_t bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace troupe
