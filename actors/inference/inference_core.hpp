// The inference role, pure: which sequences run, which tokens the next step computes, what its
// logits mean.
//
//   step(message)  -> effects        the conversation of proto/inference.proto
//   plan()         -> a batch        for the engine; then absorb(batch, logits) -> effects
//
// Invariants:
// - A sequence never has more tokens sent than credit granted; without credit its next logits are
// not computed.
// - A sequence takes blocks for its prompt when it is admitted and for its answer as it grows.
// Where none is left, one that stands behind it gives its blocks back and goes on later: what it
// computes again is what it had, and nothing is sent twice. The first in standing can always go on,
// so some sequence does. Blocks return when a sequence ends, however it ends.
// - Whoever waits is admitted in the end: waiting lifts a sequence's priority, and every fourth
// place goes to the one that has waited longest.
// - What a sequence sends is a function of its StartSequence and the model, not of what runs beside
// it.
// - While its constraint is made a sequence waits and others go on; equal constraints are made
// once.
// - What host memory keeps of blocks is an engine's own and goes with it; what it brings back is as
// if it had been in the pool.
// - A message with an older fence than the newest seen for the job (of that gateway) changes
// nothing and is counted.
// Threading: one thread. Time comes as an argument.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/core.hpp"
#include "actors/inference/answer_constraints.hpp"
#include "actors/inference/batch_window.hpp"
#include "actors/inference/fair_share.hpp"
#include "actors/inference/inference_settings.hpp"
#include "actors/inference/sequence.hpp"
#include "kernels/engine.hpp"
#include "kernels/kv/tiered_blocks.hpp"

namespace troupe {

// What the core knows of an engine that its shell has made.
struct engine_facts {
  kernels::engine_description description;
  std::shared_ptr<const kernels::tokenizer> words;
  std::vector<kernels::token_id> canary_ids;
  std::uint64_t load_us = 0;
  // Host memory behind its KV store (kernels/kv/kv_transfer.hpp): 0, there is none.
  std::uint32_t host_places = 0;
  std::uint64_t host_block_bytes = 0;
};

class inference_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::vector<envelope_ptr>
        loads;  // LoadEngine messages: make that engine, then call engine_made()
    std::vector<std::string> drops;  // digests: destroy that engine
    // make_constraint() aside, then call constraint_made(); at most one is under way
    std::optional<constraint_wish> compile;
  };

  // One step of one engine, behind copies of its blocks (block_copies.hpp); one of the two may be
  // empty. Spans point into the core: valid until the next call.
  struct batch {
    std::string digest;
    std::vector<kernels::kv_copy_order> copies;
    std::vector<kernels::sequence_step> steps;
    std::vector<sequence*> sequences;  // of steps[i]; owned by the core
  };

  struct counters {
    std::uint32_t running = 0;
    std::uint32_t waiting = 0;
    std::uint64_t frames_fenced = 0;
    std::uint64_t tokens_sampled = 0;
    std::uint64_t sequences_finished = 0;
    std::uint64_t sequences_failed = 0;
  };

  explicit inference_core(const inference_settings& settings);

  effects step(const envelope_ptr& message, time_point_us now);
  effects engine_made(const std::string& digest, const result<engine_facts>& made,
                      time_point_us now);
  effects constraint_made(const constraint_wish& wish, const result<made_constraint>& made,
                          time_point_us now);
  effects lose_node(const std::string& node, time_point_us now);
  // The engine says that what it held is gone: its sequences fail, it is dropped, the loader is
  // told.
  effects lose_engine(const std::string& digest, const error& why, time_point_us now);
  effects tick(time_point_us now);  // deadlines, sequences without credit

  // plan() gives a batch, or waits for company until held_until().
  bool has_work() const;
  std::optional<batch> plan(time_point_us now);
  // So many copies of that engine's blocks may begin in its next batch. Where there is work and yet
  // no batch, some that are under way have to pass.
  void set_copy_room(const std::string& digest, std::uint32_t copies);
  std::optional<time_point_us> held_until() const;
  effects absorb(const batch& done, const result<kernels::step_logits>& logits, time_point_us now);

  const counters& count() const { return counters_; }
  engine_uses engines() const;
  // Blocks of an engine that no sequence uses, and all.
  std::pair<std::uint32_t, std::uint32_t> blocks_of(const std::string& digest) const;
  // At most `most` names of blocks that are here.
  std::vector<prefix_name> prefixes(std::size_t most) const;

 private:
  struct slot {                               // one model
    std::optional<engine_facts> facts;        // absent while loading
    std::vector<envelope_ptr> load_requests;  // that wait for it
    kernels::tiered_blocks kv;
    std::unique_ptr<answer_constraints> constraints;
    prefix_name root = 0;
    std::list<std::unique_ptr<sequence>> waiting, running;
    engine_use counted;  // of it, what only grows
    batch_window window;
  };
  struct admission {
    sequence* next = nullptr;
    std::vector<sequence*> victims;  // that give up their place or blocks for it
  };

  void load(const envelope_ptr& message, effects& out);
  void unload(const envelope_ptr& message, effects& out);
  void start(const proto::Envelope& message, time_point_us now, effects& out);
  void grant(const proto::Envelope& message, time_point_us now, effects& out);
  void stop(const proto::Envelope& message, time_point_us now, effects& out);
  void release(const proto::Envelope& message, effects& out);
  std::optional<error> check_start(const proto::StartSequence& start) const;
  bool fenced(const std::string& key, const proto::Fence& fence);
  bool ready(const sequence& s) const;
  void begin(sequence& s, time_point_us now, effects& out);
  void compile_next(effects& out);

  // admission.cpp: who gets a place
  int standing(const sequence& s) const;
  bool stands_before(const sequence& a, const sequence& b) const;
  bool may_yield(const sequence& held, const sequence& to) const;
  std::optional<time_point_us> held_until(const slot& at) const;
  sequence* pick(const slot& at) const;
  std::optional<admission> next_admission(const slot& at) const;
  void admit(slot& at);
  void give_place(slot& at, sequence& s);
  void preempt(slot& at, sequence& s);

  // batch_plan.cpp: what the next step computes
  bool grow(slot& at, sequence& s);
  void add_decodes(slot& at, batch& to, std::uint32_t& budget);
  void add_prompts(slot& at, batch& to, std::uint32_t budget);
  void take_found(slot& at, sequence& s);
  void bring_back(slot& at, sequence& s);

  // batch_results.cpp: what came of it
  void absorb_row(sequence& s, std::span<const float> logits, time_point_us now, effects& out);
  void absorb_best(sequence& s, const kernels::best_logits& best, time_point_us now, effects& out);
  void absorb_token(sequence& s, const kernels::sampled_token& drawn,
                    std::span<const kernels::sampled_token> alternatives, time_point_us now,
                    effects& out);
  void absorb_hidden(sequence& s, const kernels::sequence_step& step, std::span<const float> rows,
                     time_point_us now, effects& out);
  void absorb_scores(sequence& s, const kernels::sequence_step& step, std::span<const float> rows,
                     time_point_us now, effects& out);
  void finish_reading(sequence& s, time_point_us now, effects& out);  // where all is read
  void finish(sequence& s, const sequence::outcome& how, time_point_us now, effects& out);
  void fail(sequence& s, const error& why, effects& out);
  void remove(sequence& s);  // s is destroyed
  template <class Choose>
  void fail_where(const error& why, Choose&& choose, effects& out);

  inference_settings settings_;
  std::map<std::string, slot> slots_;
  std::unordered_map<std::string, sequence*> by_key_;
  fence_table fences_;
  fence_table dropped_;  // of attempts that were given up without a word to their gateway
  fair_share shares_;
  counters counters_;
  time_point_us clock_{};  // the newest time seen
  std::uint64_t arrivals_ = 0, admissions_ = 0, steps_ = 0;
  std::string last_digest_;  // models take turns
  bool compiling_ = false;
};

}  // namespace troupe
