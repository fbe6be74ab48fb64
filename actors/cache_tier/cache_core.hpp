// The cache tier, pure: which tier answers, when Redis is asked and when it is left alone, what is
// believed.
//
// Invariants: an answer that is given out was whole and belonged to its key; a store never stands
// in the way of a look-up; what waits for Redis is bounded. Threading: one thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/cache_tier/cache_settings.hpp"
#include "actors/cache_tier/local_tier.hpp"
#include "actors/circuit_breaker.hpp"
#include "actors/core.hpp"
#include "config/outcome.hpp"

namespace troupe {

class cache_core {
 public:
  struct shared_read {  // ask Redis for `name`, then call absorb_read()
    envelope_ptr request;
    std::string key, name;
  };
  struct shared_write {  // then call absorb_write()
    std::string name, record;
  };
  struct effects {
    std::vector<envelope_ptr> posts;
    std::optional<shared_read> read;
  };

  // shared: whether there is a Redis at all.
  cache_core(const cache_settings& settings, bool shared);

  effects step(const envelope_ptr& message, time_point_us now);
  effects absorb_read(const shared_read& asked, const result<std::optional<std::string>>& said,
                      time_point_us took, time_point_us now);

  // Stores that wait for Redis.
  bool has_write(time_point_us now) const { return !writes_.empty() && may_call(now); }
  std::optional<shared_write> next_write(time_point_us now);
  void absorb_write(const status& said, time_point_us took, time_point_us now);

  // Whether Redis should be asked how much it holds (which also shows whether it lives), and its
  // answer.
  bool wants_probe(time_point_us now) const;
  void absorb_probe(const result<std::uint64_t>& said, time_point_us took, time_point_us now);

  proto::CacheStatus status_now() const;

 private:
  bool may_call(time_point_us now) const { return shared_ && breaker_.allows(now); }
  void judge(bool ok, error_code code, time_point_us took, time_point_us now);
  void look_up(const envelope_ptr& message, time_point_us now, effects& out);
  void store(const proto::StoreAnswer& wish, time_point_us now);

  cache_settings settings_;
  bool shared_;
  local_tier local_;
  circuit_breaker breaker_;
  std::deque<shared_write> writes_;
  proto::CacheStatus::Tier local_count_, shared_count_;
  time_point_us probed_{-1};
};

}  // namespace troupe
