#include "actors/cache_tier/cache_actor.hpp"

#include <spdlog/spdlog.h>

#include "actors/spawn.hpp"

namespace troupe {
namespace {

// Runs `call` and says how long it took on the real clock.
template <class Call>
auto timed(Call&& call, time_point_us& took) {
  const auto begin = std::chrono::steady_clock::now();
  auto said = call();
  took = std::chrono::duration_cast<time_point_us>(std::chrono::steady_clock::now() - begin);
  return said;
}

}  // namespace

void cache_role::receive(const envelope_ptr& message, time_point_us now) {
  last_seen_ = now;
  carry_out(core_.step(message, now));
}

void cache_role::carry_out(cache_core::effects effects) {
  if (effects.read) {
    time_point_us took{};
    const auto said = timed([&] { return store_->get(effects.read->name); }, took);
    last_seen_ += took;
    cache_core::effects after = core_.absorb_read(*effects.read, said, took, last_seen_);
    effects.posts.insert(effects.posts.end(), after.posts.begin(), after.posts.end());
  }
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
}

void cache_role::work(time_point_us now) {
  last_seen_ = now;
  const auto next = core_.next_write(now);
  if (!next) return;
  time_point_us took{};
  const auto said =
      timed([&] { return store_->set(next->name, next->record, settings_.redis_ttl); }, took);
  last_seen_ += took;
  core_.absorb_write(said, took, last_seen_);
}

void cache_role::tick(time_point_us now) {
  last_seen_ = now;
  if (!core_.wants_probe(now)) return;
  time_point_us took{};
  const auto said = timed([&] { return store_->entries(); }, took);
  last_seen_ += took;
  core_.absorb_probe(said, took, last_seen_);
}

role_handle spawn_cache_tier(caf::actor_system& system, const cache_settings& settings,
                             post_office& office, std::shared_ptr<actor_gauge> gauge) {
  role_plan plan;
  plan.name = "cache_tier";
  plan.gauge = std::move(gauge);
  plan.detached = true;
  plan.make = [settings, &office](notify_self) -> std::unique_ptr<role> {
    std::unique_ptr<redis_store> store;
    if (!settings.redis_address.empty()) {
      auto made = make_redis_store(settings.redis_address,
                                   {settings.redis_call_wait, settings.value_bytes_max});
      if (made) {
        store = std::move(*made);
      } else {
        spdlog::error("shared_cache_off reason=\"{}\"", made.failure().text());
      }
    }
    return std::make_unique<cache_role>(settings, office, std::move(store));
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
