// KV blocks that come back from host memory: what is counted, waited for, forgotten and told to
// others; and the role over it.
#include <doctest/doctest.h>

#include "actors/inference/inference_actor.hpp"
#include "tests/property/actors/real_bench.hpp"

using namespace troupe;
using namespace troupe::fakes;
using kernels::kv_type;

namespace {

std::vector<kernels::token_id> prompt_of(std::size_t count, kernels::token_id first) {
  std::vector<kernels::token_id> prompt(count, 9);
  prompt.front() = first;
  return prompt;
}

const job_wish asked{.id = "asked", .prompt = prompt_of(40, 1), .tokens_max = 4};

job_wish again() {
  job_wish job = asked;
  job.id = "again";
  return job;
}

// A model whose pool has lost the blocks of `asked` to others.
struct after_eviction : real_bench {
  explicit after_eviction(std::uint32_t places = 12)
      : real_bench(inference_settings{}, small_engine(6, kv_type::f16), places) {
    answer(asked);
    answer({.id = "other", .prompt = prompt_of(90, 2), .tokens_max = 4});
    others.clear();
  }
  void answer(const job_wish& job) {
    say(start_message(job));
    finish();
    CHECK(of(job).finished.has_value());
  }
};

}  // namespace

TEST_CASE("host memory: a prompt that left the store comes back, and counts as found") {
  after_eviction b;
  CHECK(b.use().prefix_tokens_hit == 0);
  b.answer(again());
  CHECK(b.of(again()).ids == b.of(asked).ids);
  CHECK(b.of(again()).finished->prefix_tokens() == 32);
  const engine_use use = b.use();
  CHECK(use.prefix_tokens_hit == 32);
  CHECK(use.prefix_tokens_restored == 32);
  CHECK(use.host_blocks_restored == 2);
  CHECK(use.host_blocks == 12);
  CHECK(use.host_blocks_used > 0);
  CHECK(use.host_block_bytes == b.real->transfer()->block_bytes());
  CHECK(use.host_blocks_copied_out >= use.host_blocks_used);
  b.answer({.id = "third", .prompt = asked.prompt, .tokens_max = 4});  // from the store itself
  CHECK(b.use().prefix_tokens_hit == 64);
  CHECK(b.use().prefix_tokens_restored == 32);
}

TEST_CASE("host memory: without any, what left the store is computed again") {
  after_eviction b(0);
  b.answer(again());
  CHECK(b.of(again()).ids == b.of(asked).ids);
  CHECK(b.of(again()).finished->prefix_tokens() == 0);
  CHECK(b.use().host_blocks == 0);
}

TEST_CASE("host memory: who has to wait for a copy waits, and others go on beside it") {
  after_eviction b;
  b.room = 0;
  const job_wish beside{.id = "beside", .prompt = {3, 4}, .tokens_max = 10};
  b.say(start_message(again()));
  b.say(start_message(beside));
  for (int i = 0; i < 20; ++i) b.step_once();
  CHECK(b.of(beside).finished.has_value());
  CHECK(b.of(again()).ids.empty());
  CHECK(b.core.has_work());
  b.room = 1;  // one block a step
  b.step_once();
  CHECK(b.use().host_blocks_restored == 1);
  CHECK(b.of(again()).ids.empty());
  b.finish();
  CHECK(b.of(again()).ids == b.of(asked).ids);
  CHECK(b.of(again()).finished->prefix_tokens() == 32);
}

TEST_CASE("host memory: who is stopped while it waits leaves nothing in use") {
  after_eviction b;
  b.room = 1;
  b.say(start_message(again()));
  b.step_once();
  CHECK(b.use().host_blocks_restored == 1);
  b.say(stop_message(again()));
  CHECK(b.use().kv_blocks_used == 0);
  b.room.reset();
  b.finish();
  job_wish once_more = again();
  once_more.id = "once more";
  b.answer(once_more);
  CHECK(b.of(once_more).ids == b.of(asked).ids);
  CHECK(b.of(once_more).finished->prefix_tokens() == 32);
}

TEST_CASE("host memory: a released conversation is not in it any more") {
  after_eviction b;
  const std::uint32_t before = b.use().host_blocks_used;
  b.say(release_message(asked.prompt));
  REQUIRE(b.others.size() == 1);
  CHECK(b.others[0].blocks_released().blocks_freed() == 2);
  CHECK(b.others[0].blocks_released().blocks_kept() == 0);
  CHECK(b.use().host_blocks_used == before - 2);
  b.answer(again());
  CHECK(b.of(again()).finished->prefix_tokens() == 0);
}

TEST_CASE("host memory: others are told of what is there, within the bound") {
  const after_eviction b;
  std::vector<prefix_name> names;
  extend_prefix_names(names, prefix_root("model", b.real->description().numerics_class),
                      asked.prompt);
  const std::vector<prefix_name> told = b.core.prefixes(20);
  for (const prefix_name one : names) CHECK(std::count(told.begin(), told.end(), one) == 1);
  CHECK(b.core.prefixes(3).size() == 3);
}

TEST_CASE("host memory: it goes with its engine") {
  after_eviction b;
  b.take(b.core.lose_engine("model", {error_code::unavailable, "gone", {}}, b.now));
  CHECK(b.core.engines().empty());
  CHECK(b.core.prefixes(20).empty());
}

namespace {

// An engine whose copies fail when told to.
class failing_copies final : public kernels::engine {
 public:
  explicit failing_copies(std::shared_ptr<bool> fails)
      : on_(small_engine(6, kv_type::f16)), transfer_(*on_->transfer(), std::move(fails)) {}
  const kernels::engine_description& description() const override { return on_->description(); }
  result<kernels::step_logits> step(std::span<const kernels::sequence_step> batch) override {
    return on_->step(batch);
  }
  kernels::kv_transfer* transfer() override { return &transfer_; }

 private:
  class failing_transfer final : public kernels::kv_transfer {
   public:
    failing_transfer(kernels::kv_transfer& on, std::shared_ptr<bool> fails)
        : on_(on), fails_(std::move(fails)) {}
    std::uint64_t block_bytes() const override { return on_.block_bytes(); }
    result<std::uint32_t> open(std::uint64_t bytes) override { return on_.open(bytes); }
    result<std::uint32_t> room() override { return on_.room(); }
    status wait_for_room() override { return on_.wait_for_room(); }
    result<kernels::kv_ticket> take_out(kernels::block_id block, kernels::host_place to) override {
      return on_.take_out(block, to);
    }
    result<kernels::kv_ticket> bring_in(kernels::block_id block,
                                        kernels::host_place from) override {
      if (*fails_) return error{error_code::resource_exhausted, "planted failure", {}};
      return on_.bring_in(block, from);
    }
    result<bool> passed(kernels::kv_ticket copy) override { return on_.passed(copy); }
    status wait(kernels::kv_ticket copy) override { return on_.wait(copy); }
    std::span<std::uint8_t> bytes(kernels::host_place place) override { return on_.bytes(place); }

   private:
    kernels::kv_transfer& on_;
    std::shared_ptr<bool> fails_;
  };
  std::unique_ptr<kernels::engine> on_;
  failing_transfer transfer_;
};

class one_source final : public engine_source {
 public:
  explicit one_source(std::shared_ptr<bool> fails) : fails_(std::move(fails)) {}
  result<made_engine> make(const proto::LoadEngine&) override {
    made_engine made;
    made.engine = std::make_unique<failing_copies>(fails_);
    made.facts = {made.engine->description(), std::make_shared<letters>(), {}, 1};
    made.facts.host_block_bytes = made.engine->transfer()->block_bytes();
    made.facts.host_places = *made.engine->transfer()->open(12 * made.facts.host_block_bytes);
    return made;
  }

 private:
  std::shared_ptr<bool> fails_;
};

struct one_role {
  one_role() {
    role = std::make_unique<inference_role>(
        inference_settings{}, office,
        [this](role_event_ptr event) { events.push_back(std::move(event)); },
        inference_aside{std::make_shared<one_source>(fails), std::make_unique<background_inline>(),
                        std::make_unique<background_inline>()},
        load);
    say(load_engine_message("model"));
  }
  void say(const envelope_ptr& message) {
    role->receive(message, now);
    for (const auto& event : std::exchange(events, {})) role->notice(*event, now);
    for (int guard = 0; guard < 5000 && role->has_work(); ++guard)
      role->work(now += time_point_us{1000});
    CHECK_FALSE(role->has_work());
  }
  std::shared_ptr<bool> fails = std::make_shared<bool>(false);
  kept_posts office;
  std::vector<role_event_ptr> events;
  std::shared_ptr<inference_load> load = std::make_shared<inference_load>();
  time_point_us now{1'000'000};
  std::unique_ptr<inference_role> role;
};

}  // namespace

TEST_CASE("host memory: the role carries copies out; where one fails, its engine is lost") {
  one_role here;
  here.say(start_message(asked));
  here.say(start_message({.id = "other", .prompt = prompt_of(90, 2), .tokens_max = 4}));
  here.say(start_message(again()));
  REQUIRE(here.office.posts.back()->has_sequence_finished());
  CHECK(here.office.posts.back()->sequence_finished().prefix_tokens() == 32);
  CHECK(here.load->engines().at("model").host_blocks_restored == 2);
  here.say(start_message({.id = "more", .prompt = prompt_of(90, 3), .tokens_max = 4}));
  *here.fails = true;
  here.office.posts.clear();
  job_wish last = again();
  last.id = "last";
  here.say(start_message(last));
  REQUIRE(here.office.posts.size() == 2);
  CHECK(here.office.posts[0]->sequence_failed().error().code() == proto::Error::UNAVAILABLE);
  CHECK(here.office.posts[1]->has_engine_lost());
}
