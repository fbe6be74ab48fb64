// The inference core over a real engine and a small random model, with host memory behind its
// blocks where a test wants it.
#pragma once

#include <doctest/doctest.h>

#include "actors/inference/block_copies.hpp"
#include "kernels/kv/kv_transfer.hpp"
#include "tests/property/actors/random_jobs.hpp"
#include "tests/unit/kernels/engine_random_model.hpp"

namespace troupe::fakes {

inline const kernels::testing::random_model& small_model() {
  static const kernels::testing::random_model made{{.vocabulary = letters::size, .context = 96}};
  return made;
}

inline std::unique_ptr<kernels::engine> small_engine(std::uint64_t kv_blocks, kernels::kv_type kv) {
  const std::uint64_t block = kernels::cpu_memory_need(*small_model().get(), kv).kv_block_bytes;
  auto made = kernels::make_cpu_engine(
      small_model().get(),
      {.threads = 1, .kv_bytes = kv_blocks * block, .kv = kv, .batch_tokens_max = 512});
  REQUIRE(made.ok());
  return std::move(*made);
}

struct real_bench : bench {
  // The engine's blocks are free, whatever lies in them.
  real_bench(const inference_settings& settings, std::shared_ptr<kernels::engine> engine,
             std::uint32_t host_blocks = 0)
      : bench(settings), real(std::move(engine)) {
    take(core.step(load_engine_message("model"), now));
    engine_facts facts{real->description(), std::make_shared<letters>(), {}, 1};
    if (host_blocks > 0) {
      kernels::kv_transfer& transfer = *real->transfer();
      const auto places = transfer.open(host_blocks * transfer.block_bytes());
      REQUIRE(places.ok());
      facts.host_places = *places;
      facts.host_block_bytes = transfer.block_bytes();
    }
    take(core.engine_made("model", facts, now));
  }
  void finish() {
    for (int guard = 0; guard < 5000 && core.has_work(); ++guard) step_once();
    RC_ASSERT(!core.has_work());
  }
  // As the role's shell does it.
  void step_once() {
    now += time_point_us{1000};
    RC_ASSERT(tell_copy_room(core, "model", *real).ok());
    if (room) core.set_copy_room("model", *room);
    const auto batch = core.plan(now);
    if (!batch) {
      if (!core.held_until()) RC_ASSERT(wait_for_copies(*real).ok());
      return;
    }
    RC_ASSERT(begin_copies(*batch, *real).ok());
    if (batch->steps.empty()) return;
    const auto logits = real->step(batch->steps);
    RC_ASSERT(logits.ok());
    take(core.absorb(*batch, logits, now));
  }
  engine_use use() const { return core.engines().at("model"); }

  std::shared_ptr<kernels::engine> real;
  std::optional<std::uint32_t> room;  // in place of the engine's
};

// By an engine that has room, and nothing else in it.
inline heard alone_for_real(job_wish job, kernels::kv_type kv) {
  static const std::shared_ptr<kernels::engine> engines[] = {
      small_engine(6, kernels::kv_type::f16), small_engine(6, kernels::kv_type::q8_0)};
  inference_settings settings;
  settings.kv = kv;
  settings.batch_tokens_max = 5;
  real_bench b{settings, engines[kv == kernels::kv_type::q8_0]};
  job.credit = 1000;
  b.say(start_message(job));
  b.finish();
  return b.of(job);
}

// Conversations whose turns go on from what was said, with cancels, lost gateways and releases
// between them, on an engine whose memory is too small for all.
class random_conversations {
 public:
  struct turn {
    job_wish job;
    bool cut_short = false;
  };

  explicit random_conversations(real_bench& on) : on_(on), texts_(pick<std::size_t>(2, 7)) {
    for (auto& text : texts_) text = random_prompt();
  }
  void act() {
    const std::size_t which = pick<std::size_t>(0, texts_.size());
    const int choice = pick(0, 10);
    if (choice < 8)
      say(which);
    else if (choice == 8 && !turns_.empty())
      cut_short(turns_[pick<std::size_t>(0, turns_.size())]);
    else if (choice == 9)
      on_.say(release_message(texts_[which]));
    for (int some = pick(0, 30); some > 0; --some) on_.step_once();
    take_answers();
  }
  void finish() {
    on_.finish();
    take_answers();
  }
  // Twice over all, since beginnings that several share go with the last of them.
  void release_all() {
    for (int round = 0; round < 2; ++round)
      for (const turn& one : turns_) {
        std::vector<kernels::token_id> ids = one.job.prompt;
        const auto& answer = on_.of(one.job).ids;
        ids.insert(ids.end(), answer.begin(), answer.end());
        on_.say(release_message(ids));
      }
  }
  const std::vector<turn>& turns() const { return turns_; }

 private:
  void say(std::size_t which) {
    std::vector<kernels::token_id>& text = texts_[which];
    if (open_.contains(which)) return;
    if (text.size() > 70) text = random_prompt();
    job_wish job = random_job(static_cast<int>(turns_.size()));
    job.prompt = text;
    job.credit = 1000;
    job.embed = job.score = false;
    on_.say(start_message(job));
    turns_.push_back({job});
    open_[which] = turns_.size() - 1;
  }
  void cut_short(turn& one) {
    if (on_.of(one.job).ended()) return;
    one.cut_short = true;
    if (pick(0, 3) > 0)
      on_.say(stop_message(one.job));
    else
      lose(one.job.gateway);
  }
  void lose(const std::string& gateway) {
    on_.take(on_.core.lose_node(gateway, on_.now));
    for (turn& other : turns_)
      if (other.job.gateway == gateway && !on_.of(other.job).ended()) other.cut_short = true;
  }
  void take_answers() {
    std::erase_if(open_, [&](const auto& entry) {
      const turn& said = turns_[entry.second];
      const heard& h = on_.of(said.job);
      if (!h.ended() && !said.cut_short) return false;
      std::vector<kernels::token_id>& text = texts_[entry.first];
      text.insert(text.end(), h.ids.begin(), h.ids.end());
      text.push_back(pick<kernels::token_id>(1, 32));
      return true;
    });
  }

  real_bench& on_;
  std::vector<std::vector<kernels::token_id>> texts_;
  std::vector<turn> turns_;
  std::map<std::size_t, std::size_t> open_;  // of each text, the turn that is under way
};

// Each is what an engine with room gives, or the beginning of it.
inline void check_turns(real_bench& on, const random_conversations& all, kernels::kv_type kv) {
  for (const random_conversations::turn& one : all.turns()) {
    const heard &got = on.of(one.job), whole = alone_for_real(one.job, kv);
    if (!one.cut_short) {
      check_same(got, whole);
      continue;
    }
    RC_ASSERT(got.ids.size() <= whole.ids.size());
    RC_ASSERT(std::equal(got.ids.begin(), got.ids.end(), whole.ids.begin()));
    RC_ASSERT(std::equal(got.log_probabilities.begin(), got.log_probabilities.end(),
                         whole.log_probabilities.begin()));
  }
}

}  // namespace troupe::fakes
