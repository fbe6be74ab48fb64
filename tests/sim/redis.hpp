// The shared Redis of a run: up, down, slow, emptied or lying. What it says is not to be believed.
#pragma once

#include <map>
#include <string>

#include "actors/cache_tier/redis_store.hpp"
#include "proto/cache.pb.h"
#include "tests/sim/clockwork.hpp"

namespace troupe::sim {

struct shared_redis {
  enum class mood { well, down, slow, lying };
  mood now = mood::well;
  std::map<std::string, std::string, std::less<>> held;
};

// One node's connection to it. `took` is what the last call would have taken.
class redis_door {
 public:
  redis_door(shared_redis& there, dice chances) : there_(there), dice_(chances) {}

  time_us took = 0;

  result<std::optional<std::string>> get(std::string_view name) {
    if (auto gone = reach()) return *gone;
    const auto found = there_.held.find(name);
    if (found == there_.held.end()) return std::optional<std::string>();
    if (there_.now != shared_redis::mood::lying) return std::optional<std::string>(found->second);
    return std::optional<std::string>(lie(found->second));
  }
  status set(std::string_view name, std::string_view value) {
    if (auto gone = reach()) return *gone;
    there_.held[std::string(name)] = value;
    return {};
  }
  result<std::uint64_t> entries() {
    if (auto gone = reach()) return *gone;
    return static_cast<std::uint64_t>(there_.held.size());
  }

 private:
  std::optional<error> reach() {
    took = dice_.between(80, 600);
    if (there_.now == shared_redis::mood::slow) took = dice_.between(10'000, 50'000);
    if (there_.now != shared_redis::mood::down) return std::nullopt;
    took = dice_.chance(500) ? 300 : 50'000;
    return error{error_code::unavailable, "no Redis", {}};
  }
  // Another answer's record, a byte changed, the end missing, or other tokens in an old envelope.
  std::string lie(const std::string& record) {
    switch (dice_.below(4)) {
      case 0:
        return std::next(there_.held.begin(),
                         static_cast<std::ptrdiff_t>(dice_.below(there_.held.size())))
            ->second;
      case 1: {
        std::string other = record;
        other[dice_.below(other.size())] ^= static_cast<char>(1 << dice_.below(8));
        return other;
      }
      case 2:
        return record.substr(0, dice_.below(record.size()));
      default: {
        proto::CacheRecord outer;
        proto::CachedAnswer inner;
        if (!outer.ParseFromString(record) || !inner.ParseFromString(outer.value()) ||
            inner.ids().empty())
          return record;
        const int at = static_cast<int>(dice_.below(static_cast<std::uint64_t>(inner.ids_size())));
        inner.set_ids(at, inner.ids(at) ^ 1);
        outer.set_value(inner.SerializeAsString());
        return outer.SerializeAsString();
      }
    }
  }

  shared_redis& there_;
  dice dice_;
};

}  // namespace troupe::sim
