#include <doctest/doctest.h>

#include "actors/cache_tier/cache_actor.hpp"
#include "actors/cache_tier/cache_record.hpp"
#include "actors/running_hash.hpp"
#include "tests/unit/actors/fakes.hpp"
#include "tests/unit/actors/redis_server.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

proto::AnswerKey key_of(int n) {
  proto::AnswerKey key;
  key.set_model_digest("m");
  key.set_numerics_class("cpu-1");
  key.add_prompt_ids(n);
  key.set_tokens_max(100);
  return key;
}

proto::CachedAnswer answer_of(int n, std::size_t text_bytes = 4) {
  proto::CachedAnswer answer;
  for (int id : {n, n + 1}) answer.add_ids(id);
  answer.set_text(std::string(text_bytes, 't'));
  answer.add_text_ends(2);
  answer.add_text_ends(3);
  answer.add_log_probabilities(-1);
  answer.add_log_probabilities(-2);
  answer.set_reason(proto::LENGTH);
  answer.set_numerics_class("cpu-1");
  answer.set_running_hash(running_hash_of(answer.ids()));
  return answer;
}

envelope_ptr look_up(int n) {
  auto message = letter("gate", "gateway", "cache_tier", 1);
  *message->mutable_look_up_answer()->mutable_key() = key_of(n);
  return message;
}

envelope_ptr store(int n, std::size_t text_bytes = 4) {
  auto message = letter("gate", "gateway", "cache_tier");
  *message->mutable_store_answer()->mutable_key() = key_of(n);
  *message->mutable_store_answer()->mutable_answer() = answer_of(n, text_bytes);
  return message;
}

// Redis as the test wants it: absent, slow, full, lying.
class wilful_store final : public redis_store {
 public:
  result<std::optional<std::string>> get(std::string_view name) override {
    ++calls;
    if (wrong) return *wrong;
    const auto found = values.find(std::string{name});
    return found == values.end() ? std::optional<std::string>{} : std::optional{found->second};
  }
  status set(std::string_view name, std::string_view value, std::chrono::seconds) override {
    ++calls;
    if (wrong) return *wrong;
    values[std::string{name}] = value;
    return {};
  }
  result<std::uint64_t> entries() override {
    ++calls;
    if (wrong) return *wrong;
    return static_cast<std::uint64_t>(values.size());
  }
  std::map<std::string, std::string> values;
  std::optional<error> wrong;
  int calls = 0;
};

struct tier {
  explicit tier(std::unique_ptr<redis_store> redis = nullptr, cache_settings settings = {})
      : role(settings, office, std::move(redis)) {}
  const proto::Envelope& ask(int n) {
    role.receive(look_up(n), now);
    return *office.posts.back();
  }
  void keep(int n, std::size_t text_bytes = 4) {
    role.receive(store(n, text_bytes), now);
    for (int guard = 0; guard < 1000 && role.has_work(); ++guard) role.work(now);
  }
  proto::CacheStatus::Tier count(int which) {
    auto message = letter("x", "monitoring", "cache_tier", 2);
    message->mutable_read_cache_status();
    role.receive(message, now);
    return office.posts.back()->cache_status().tiers(which);
  }
  kept_posts office;
  cache_role role;
  time_point_us now{1'000'000};
};

}  // namespace

TEST_CASE("the key depends on everything but a seed that draws nothing") {
  proto::AnswerKey key = key_of(1);
  const std::string plain = cache_key(key);
  CHECK(plain.size() == 32);
  key.mutable_sampling()->set_seed(5);
  CHECK(cache_key(key) == plain);
  key.mutable_sampling()->set_temperature(0.5f);
  const std::string warm = cache_key(key);
  CHECK(warm != plain);
  key.mutable_sampling()->set_seed(6);
  CHECK(cache_key(key) != warm);
  for (const auto& change : std::vector<std::function<void(proto::AnswerKey&)>>{
           [](auto& k) { k.set_model_digest("n"); }, [](auto& k) { k.set_tokenizer_digest("n"); },
           [](auto& k) { k.set_numerics_class("n"); }, [](auto& k) { k.add_prompt_ids(1); },
           [](auto& k) { k.set_tokens_max(1); }, [](auto& k) { k.add_stop("n"); },
           [](auto& k) { k.set_ignore_end(true); },
           [](auto& k) { k.mutable_sampling()->set_top_k(3); }}) {
    proto::AnswerKey other = key_of(1);
    change(other);
    CHECK(cache_key(other) != plain);
  }
}

TEST_CASE("a record is believed only when everything in it holds") {
  const std::string key = cache_key(key_of(1));
  const std::string good = pack(key, answer_of(1));
  CHECK(unpack(key, key_of(1), good).ok());
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    const auto read = unpack(key, key_of(1), bad);
    CHECK_FALSE(read.ok());
    CHECK_FALSE(unpack(key, key_of(1), good.substr(0, i)).ok());
  }
  CHECK_FALSE(unpack(cache_key(key_of(2)), key_of(2), good).ok());
  const auto not_whole = [&](auto change) {
    proto::CachedAnswer answer = answer_of(1);
    change(answer);
    return !check_whole(key_of(1), answer).ok();
  };
  CHECK(not_whole([](auto& a) { a.set_reason(proto::CANCELLED_BY_CLIENT); }));
  CHECK(not_whole([](auto& a) { a.set_running_hash(1); }));
  CHECK(not_whole([](auto& a) { a.add_text_ends(4); }));
  CHECK(not_whole([](auto& a) { a.set_text_ends(1, 9); }));
  CHECK(not_whole([](auto& a) { a.add_log_probabilities(0); }));
  CHECK(not_whole([](auto& a) { a.set_numerics_class("cuda"); }));
  CHECK_FALSE(not_whole([](auto&) {}));
}

TEST_CASE(
    "the local tier finds what was stored, forgets the least recently used, and what is too old") {
  cache_settings settings;
  settings.local_bytes_max = 20'000;
  tier t{nullptr, settings};
  CHECK(t.ask(1).has_answer_missing());
  CHECK_FALSE(t.ask(1).answer_missing().shared_tier_away());
  t.keep(1, 4000);
  CHECK(t.ask(1).answer_found().tier() == proto::LOCAL_CACHE);
  CHECK(t.ask(1).answer_found().answer().ids(0) == 1);
  t.keep(2, 4000);
  t.keep(3, 4000);
  (void)t.ask(1);
  t.keep(4, 4000);
  t.keep(5, 4000);
  CHECK(t.ask(1).has_answer_found());
  CHECK(t.ask(2).has_answer_missing());
  CHECK(t.ask(5).has_answer_found());
  CHECK(t.count(0).bytes() <= 20'000);
  CHECK(t.count(0).evictions() >= 1);
  t.keep(6, 30'000);
  CHECK(t.ask(6).has_answer_missing());
  CHECK(t.ask(5).has_answer_found());
  t.now += std::chrono::seconds{3601};
  CHECK(t.ask(5).has_answer_missing());
}

TEST_CASE("an answer that is not whole is not stored") {
  tier t;
  auto message = std::make_shared<proto::Envelope>(*store(1));
  message->mutable_store_answer()->mutable_answer()->set_running_hash(3);
  t.role.receive(message, t.now);
  CHECK(t.ask(1).has_answer_missing());
}

TEST_CASE("what one node stores another finds in Redis, and then in its own tier") {
  auto owned = std::make_unique<wilful_store>();
  wilful_store& redis = *owned;
  tier one{std::move(owned)};
  one.keep(7);
  CHECK(redis.values.size() == 1);
  auto second = std::make_unique<wilful_store>();
  second->values = redis.values;
  tier other{std::move(second)};
  CHECK(other.ask(7).answer_found().tier() == proto::SHARED_CACHE);
  CHECK(other.ask(7).answer_found().tier() == proto::LOCAL_CACHE);
  CHECK(other.count(1).hits() == 1);
}

TEST_CASE("a Redis that lies costs a miss and is counted") {
  const auto owned_with = [](std::string value) {
    auto redis = std::make_unique<wilful_store>();
    redis->values[redis_name(cache_key(key_of(7)))] = std::move(value);
    return redis;
  };
  const std::string good = pack(cache_key(key_of(7)), answer_of(7));
  for (const std::string& lie :
       {std::string{"garbage"}, std::string{}, good.substr(0, good.size() - 1),
        pack(cache_key(key_of(8)), answer_of(8)), good + "more"}) {
    tier t{owned_with(lie)};
    CHECK(t.ask(7).has_answer_missing());
    CHECK(t.count(1).corrupt() == 1);
  }
  tier honest{owned_with(good)};
  CHECK(honest.ask(7).has_answer_found());
}

TEST_CASE("a Redis that is away is left alone after two calls, tried again later, and taken back") {
  auto owned = std::make_unique<wilful_store>();
  wilful_store& redis = *owned;
  tier t{std::move(owned)};
  redis.wrong = error{error_code::unavailable, "away", {}};
  for (int i = 0; i < 20; ++i) CHECK(t.ask(i).has_answer_missing());
  CHECK(redis.calls == 2);
  CHECK(t.ask(3).answer_missing().shared_tier_away());
  CHECK_FALSE(t.count(1).available());
  t.keep(1);
  CHECK(redis.calls == 2);
  t.now += std::chrono::milliseconds{300};
  t.role.tick(t.now);
  CHECK(redis.calls == 3);
  redis.wrong.reset();
  t.now += std::chrono::milliseconds{600};
  t.role.tick(t.now);
  CHECK(t.count(1).available());
  t.keep(2);
  CHECK(redis.values.size() == 2);  // the one that waited, too
}

TEST_CASE("a full Redis refuses stores, and look-ups go on") {
  auto owned = std::make_unique<wilful_store>();
  wilful_store& redis = *owned;
  tier t{std::move(owned)};
  redis.wrong = error{error_code::resource_exhausted, "OOM", {}};
  for (int i = 0; i < 10; ++i) t.keep(i);
  CHECK(redis.calls == 10);
  CHECK(t.count(1).errors() == 10);
  CHECK(t.ask(3).has_answer_found());
}

TEST_CASE("stores that wait for Redis are bounded") {
  cache_settings settings;
  settings.stores_waiting_max = 5;
  cache_core core{settings, true};
  for (int i = 0; i < 50; ++i) (void)core.step(store(i), time_point_us{1});
  int waiting = 0;
  while (core.next_write(time_point_us{1})) ++waiting;
  CHECK(waiting == 5);
}

TEST_CASE("addresses of a Redis are checked") {
  for (const char* wrong : {"", "host", "host:", ":6379", "host:0", "host:65536", "host:63x"})
    CHECK_FALSE(make_redis_store(wrong, {}).ok());
  CHECK(make_redis_store("127.0.0.1:6379", {}).ok());
  CHECK(make_redis_store("unix:/tmp/s", {}).ok());
}

TEST_CASE("a Redis that is not there fails within the deadline") {
  auto store = make_redis_store("unix:/nowhere/redis", {std::chrono::milliseconds{50}, 1000});
  REQUIRE(store.ok());
  const auto got = (*store)->get("k");
  REQUIRE_FALSE(got.ok());
  CHECK(got.failure().code == error_code::unavailable);
}

TEST_CASE("a real Redis: values, lies, pauses, loss" * doctest::skip(!redis_server::present())) {
  redis_server server;
  cache_settings settings;
  settings.local_enabled = false;
  settings.value_bytes_max = 1u << 20;
  const redis_limits limits{std::chrono::milliseconds{2000}, settings.value_bytes_max};
  const std::string name = redis_name(cache_key(key_of(7)));

  SUBCASE("a stored answer is found by another tier and has a time to live") {
    tier one{std::move(*make_redis_store(server.address(), limits)), settings};
    one.keep(7);
    tier other{std::move(*make_redis_store(server.address(), limits)), settings};
    CHECK(other.ask(7).answer_found().answer().SerializeAsString() ==
          answer_of(7).SerializeAsString());
    CHECK(server.command("TTL " + name).starts_with(":86"));
    other.role.tick(other.now);
    CHECK(other.count(1).entries() == 1);
    server.command("FLUSHALL");
    CHECK(other.ask(7).has_answer_missing());
    CHECK(other.count(1).available());
  }
  SUBCASE("wrong values and wrong kinds are misses") {
    tier t{std::move(*make_redis_store(server.address(), limits)), settings};
    server.command("SET " + name + " nonsense");
    CHECK(t.ask(7).has_answer_missing());
    server.command("DEL " + name);
    server.command("LPUSH " + name + " a b");
    CHECK(t.ask(7).has_answer_missing());
    t.keep(7);
    server.command("SETRANGE " + name + " 20 XXXX");
    CHECK(t.ask(7).has_answer_missing());
    CHECK(t.count(1).corrupt() == 3);
    t.keep(7);
    CHECK(t.ask(7).has_answer_found());
  }
  SUBCASE("a value larger than allowed is not read") {
    server.command("SETRANGE big 3000000 x");
    auto store = std::move(*make_redis_store(server.address(), limits));
    CHECK(store->get("big").failure().code == error_code::resource_exhausted);
    CHECK(store->get("absent")->has_value() == false);
  }
  SUBCASE("a full Redis refuses stores") {
    server.command("CONFIG SET maxmemory 1");
    auto store = std::move(*make_redis_store(server.address(), limits));
    CHECK(store->set("k", "v", std::chrono::seconds{5}).failure().code ==
          error_code::resource_exhausted);
    CHECK(store->get("k").ok());
  }
  SUBCASE(
      "a paused Redis costs at most the deadline of two calls; a late reply is never taken for "
      "another's") {
    const redis_limits short_wait{std::chrono::milliseconds{100}, settings.value_bytes_max};
    auto store = std::move(*make_redis_store(server.address(), short_wait));
    CHECK(store->set("a", "for a", std::chrono::seconds{60}).ok());
    server.pause();
    const auto late = store->get("a");
    REQUIRE_FALSE(late.ok());
    CHECK(late.failure().code == error_code::deadline_exceeded);
    tier t{std::move(*make_redis_store(server.address(), short_wait)), settings};
    for (int i = 0; i < 50; ++i) CHECK(t.ask(i).has_answer_missing());
    CHECK(t.count(1).errors() <= 3);
    server.go_on();
    for (int i = 0; i < 100 && !store->get("b").ok(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    const auto other = store->get("b");
    REQUIRE(other.ok());
    CHECK_FALSE(other->has_value());
  }
  SUBCASE("a killed Redis is a miss, and one that is back is used again") {
    tier t{std::move(*make_redis_store(server.address(), limits)), settings};
    t.keep(7);
    CHECK(t.ask(7).has_answer_found());
    server.kill();
    CHECK(t.ask(7).has_answer_missing());
    CHECK(t.ask(7).has_answer_missing());
    server.start();
    t.now += std::chrono::seconds{20};
    t.keep(7);
    CHECK(t.ask(7).has_answer_found());
  }
}
