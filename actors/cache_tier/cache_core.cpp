#include "actors/cache_tier/cache_core.hpp"

#include "actors/cache_tier/cache_record.hpp"

namespace troupe {
namespace {

constexpr time_point_us probe_every{5'000'000};

envelope_ptr found(const proto::Envelope& request, const proto::CachedAnswer& answer,
                   proto::AnswerSource tier) {
  auto reply = std::make_shared<proto::Envelope>(reply_to(request));
  *reply->mutable_answer_found()->mutable_answer() = answer;
  reply->mutable_answer_found()->set_tier(tier);
  return reply;
}

envelope_ptr missing(const proto::Envelope& request, bool shared_tier_away) {
  auto reply = std::make_shared<proto::Envelope>(reply_to(request));
  reply->mutable_answer_missing()->set_shared_tier_away(shared_tier_away);
  return reply;
}

}  // namespace

cache_core::cache_core(const cache_settings& settings, bool shared)
    : settings_(settings),
      shared_(shared),
      local_(settings.local_enabled ? settings.local_bytes_max : 0, settings.local_ttl),
      breaker_(settings.failures_to_open, {settings.retry_min, settings.retry_max}) {
  local_count_.set_name("local");
  local_count_.set_enabled(settings.local_enabled);
  local_count_.set_available(settings.local_enabled);
  local_count_.set_bytes_max(settings.local_enabled ? settings.local_bytes_max : 0);
  shared_count_.set_name("redis");
  shared_count_.set_enabled(shared);
}

cache_core::effects cache_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  switch (message->payload_case()) {
    case proto::Envelope::kLookUpAnswer:
      look_up(message, now, out);
      break;
    case proto::Envelope::kStoreAnswer:
      store(message->store_answer(), now);
      break;
    case proto::Envelope::kReadCacheStatus: {
      auto reply = std::make_shared<proto::Envelope>(reply_to(*message));
      *reply->mutable_cache_status() = status_now();
      out.posts.push_back(std::move(reply));
      break;
    }
    case proto::Envelope::kError:
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(
            *message, proto::Error::INVALID_ARGUMENT,
            "cache_tier does not take payload number " + std::to_string(message->payload_case())));
  }
  return out;
}

void cache_core::look_up(const envelope_ptr& message, time_point_us now, effects& out) {
  const std::string key = cache_key(message->look_up_answer().key());
  if (const auto answer = local_.find(key, now)) {
    local_count_.set_hits(local_count_.hits() + 1);
    out.posts.push_back(found(*message, *answer, proto::LOCAL_CACHE));
    return;
  }
  local_count_.set_misses(local_count_.misses() + 1);
  if (may_call(now)) {
    out.read = shared_read{message, key, redis_name(key)};
  } else {
    out.posts.push_back(missing(*message, shared_));
  }
}

cache_core::effects cache_core::absorb_read(const shared_read& asked,
                                            const result<std::optional<std::string>>& said,
                                            time_point_us took, time_point_us now) {
  effects out;
  judge(said.ok(), said ? error_code::ok : said.failure().code, took, now);
  if (!said || !*said) {
    if (said) shared_count_.set_misses(shared_count_.misses() + 1);
    out.posts.push_back(missing(*asked.request, !said && !breaker_.closed()));
    return out;
  }
  const auto answer = unpack(asked.key, asked.request->look_up_answer().key(), **said);
  if (!answer) {
    shared_count_.set_corrupt(shared_count_.corrupt() + 1);
    out.posts.push_back(missing(*asked.request, false));
    return out;
  }
  shared_count_.set_hits(shared_count_.hits() + 1);
  local_.store(asked.key, *answer, now);
  out.posts.push_back(found(*asked.request, *answer, proto::SHARED_CACHE));
  return out;
}

void cache_core::store(const proto::StoreAnswer& wish, time_point_us now) {
  if (!check_whole(wish.key(), wish.answer())) {
    local_count_.set_corrupt(local_count_.corrupt() + 1);
    return;
  }
  if (wish.answer().ByteSizeLong() > settings_.value_bytes_max) return;
  const std::string key = cache_key(wish.key());
  if (local_.store(key, wish.answer(), now)) local_count_.set_stores(local_count_.stores() + 1);
  if (!shared_) return;
  std::string record = pack(key, wish.answer());
  if (record.size() > settings_.value_bytes_max) return;
  writes_.push_back({redis_name(key), std::move(record)});
  if (writes_.size() > settings_.stores_waiting_max) writes_.pop_front();
}

std::optional<cache_core::shared_write> cache_core::next_write(time_point_us now) {
  if (!has_write(now)) return std::nullopt;
  shared_write next = std::move(writes_.front());
  writes_.pop_front();
  return next;
}

void cache_core::absorb_write(const status& said, time_point_us took, time_point_us now) {
  judge(said.ok(), said ? error_code::ok : said.failure().code, took, now);
  if (said) shared_count_.set_stores(shared_count_.stores() + 1);
}

bool cache_core::wants_probe(time_point_us now) const {
  return may_call(now) &&
         (probed_.count() < 0 || now - probed_ >= probe_every || !breaker_.closed());
}

void cache_core::absorb_probe(const result<std::uint64_t>& said, time_point_us took,
                              time_point_us now) {
  probed_ = now;
  judge(said.ok(), said ? error_code::ok : said.failure().code, took, now);
  if (said) shared_count_.set_entries(*said);
}

// A full Redis or a lying one answers in time: that is counted, but it is not left alone for it. A
// slow one is.
void cache_core::judge(bool ok, error_code code, time_point_us took, time_point_us now) {
  const bool answered =
      ok || code == error_code::resource_exhausted || code == error_code::data_corrupt;
  const bool slow = took > time_point_us{settings_.redis_call_wait} / 2;
  if (code == error_code::data_corrupt) {
    shared_count_.set_corrupt(shared_count_.corrupt() + 1);
  } else if (!ok) {
    shared_count_.set_errors(shared_count_.errors() + 1);
  }
  if (answered && !slow) {
    breaker_.succeeded();
  } else {
    breaker_.failed(now);
  }
  shared_count_.set_available(breaker_.closed() && answered);
}

proto::CacheStatus cache_core::status_now() const {
  proto::CacheStatus status;
  proto::CacheStatus::Tier& local = *status.add_tiers();
  local = local_count_;
  local.set_entries(local_.entries());
  local.set_bytes(local_.bytes());
  local.set_evictions(local_.evictions());
  *status.add_tiers() = shared_count_;
  return status;
}

}  // namespace troupe
