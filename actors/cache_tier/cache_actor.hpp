// The cache tier's shell: calls Redis for the core, one call at a time, each within its deadline.
// Look-ups that have already arrived go before stores.
#pragma once

#include <memory>

#include "actors/cache_tier/cache_core.hpp"
#include "actors/cache_tier/redis_store.hpp"
#include "actors/shell/role.hpp"

namespace troupe {

class cache_role final : public role {
 public:
  // store: null where there is no shared tier.
  cache_role(const cache_settings& settings, post_office& office,
             std::unique_ptr<redis_store> store)
      : settings_(settings),
        office_(office),
        store_(std::move(store)),
        core_(settings, store_ != nullptr) {}

  void receive(const envelope_ptr& message, time_point_us now) override;
  void tick(time_point_us now) override;
  bool has_work() const override { return core_.has_write(last_seen_); }
  void work(time_point_us now) override;

 private:
  void carry_out(cache_core::effects effects);

  cache_settings settings_;
  post_office& office_;
  std::unique_ptr<redis_store> store_;
  cache_core core_;
  time_point_us last_seen_{};
};

}  // namespace troupe
