// What a cache tier is told at its start.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace troupe {

struct cache_settings {
  std::string node;
  bool local_enabled = true;
  std::uint64_t local_bytes_max = 64u << 20;
  std::chrono::seconds local_ttl{3600};

  std::string redis_address;  // "HOST:PORT" or "unix:/path"; empty: no shared tier
  std::chrono::milliseconds redis_call_wait{50};  // one call, connecting included, takes no longer
  std::chrono::seconds redis_ttl{86'400};
  std::uint64_t value_bytes_max = 4u << 20;  // larger answers are not cached
  std::uint32_t failures_to_open =
      2;  // calls in a row that fail (or are slow) before Redis is left alone
  std::chrono::milliseconds retry_min{
      250};  // left alone for so long at first, doubled up to retry_max
  std::chrono::milliseconds retry_max{10'000};
  std::uint32_t stores_waiting_max = 256;  // more are dropped, oldest first
};

}  // namespace troupe
