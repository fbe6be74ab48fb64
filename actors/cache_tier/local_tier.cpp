#include "actors/cache_tier/local_tier.hpp"

namespace troupe {
namespace {

// What an entry costs besides its answer: list node, map node, key twice. An estimate that errs on
// the large side.
constexpr std::uint64_t entry_overhead_bytes = 512;

}  // namespace

std::optional<proto::CachedAnswer> local_tier::find(const std::string& key, time_point_us now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  if (found->second->expires <= now) {
    erase(found->second);
    ++evictions_;
    return std::nullopt;
  }
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->answer;
}

bool local_tier::store(const std::string& key, const proto::CachedAnswer& answer,
                       time_point_us now) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
  const std::uint64_t bytes = answer.SpaceUsedLong() + entry_overhead_bytes;
  if (bytes > bytes_max_) return false;
  while (bytes_ + bytes > bytes_max_) {
    erase(std::prev(by_use_.end()));
    ++evictions_;
  }
  by_use_.push_front({key, answer, bytes, now + ttl_});
  by_key_.emplace(key, by_use_.begin());
  bytes_ += bytes;
  return true;
}

void local_tier::erase(std::list<entry>::iterator at) {
  bytes_ -= at->bytes;
  by_key_.erase(at->key);
  by_use_.erase(at);
}

}  // namespace troupe
