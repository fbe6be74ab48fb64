// The inference role, pure: which sequences run, which tokens the next step computes, what its
// logits mean.
//
//   step(message)  -> effects        the conversation of proto/inference.proto
//   plan()         -> a batch        for the engine; then absorb(batch, logits) -> effects
//
// Invariants:
// - A sequence never has more tokens sent than credit granted; without credit its next logits are
// not computed.
// - Blocks are taken when a sequence is admitted (all it can ever need) and given back when it
// ends, however it ends.
// - What a sequence sends is a function of its StartSequence and the model, not of what runs beside
// it.
// - A message with an older fence than the newest seen for the job (of that gateway) changes
// nothing and is counted. Threading: one thread. Time comes as an argument.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/core.hpp"
#include "actors/inference/block_pool.hpp"
#include "actors/inference/inference_settings.hpp"
#include "actors/inference/sequence.hpp"
#include "kernels/engine.hpp"

namespace troupe {

// What the core knows of an engine that its shell has made.
struct engine_facts {
  kernels::engine_description description;
  std::shared_ptr<const kernels::tokenizer> words;
  std::vector<kernels::token_id> canary_ids;
  std::uint64_t load_us = 0;
};

class inference_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::vector<envelope_ptr>
        loads;  // LoadEngine messages: make that engine, then call engine_made()
    std::vector<std::string> drops;  // digests: destroy that engine
  };

  // One step of one engine. Spans point into the core: valid until the next call.
  struct batch {
    std::string digest;
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
  effects lose_node(const std::string& node, time_point_us now);
  effects tick(time_point_us now);  // deadlines, sequences without credit

  bool has_work() const;  // plan() would give a batch
  std::optional<batch> plan(time_point_us now);
  effects absorb(const batch& done, const result<kernels::step_logits>& logits, time_point_us now);

  const counters& count() const { return counters_; }
  std::map<std::string, std::uint32_t> sequences_by_digest() const;
  // Free and all blocks of an engine, for tests and status.
  std::pair<std::uint32_t, std::uint32_t> blocks_of(const std::string& digest) const;

 private:
  struct slot {                               // one model
    std::optional<engine_facts> facts;        // absent while loading
    std::vector<envelope_ptr> load_requests;  // that wait for it
    block_pool pool;
    std::deque<std::unique_ptr<sequence>> waiting;
    std::list<std::unique_ptr<sequence>> running;  // in order of admission
    std::uint32_t decode_turn = 0;
  };

  void load(const envelope_ptr& message, effects& out);
  void unload(const envelope_ptr& message, effects& out);
  void start(const proto::Envelope& message, time_point_us now, effects& out);
  void grant(const proto::Envelope& message, time_point_us now);
  void stop(const proto::Envelope& message, time_point_us now, effects& out);
  std::optional<error> check_start(const proto::StartSequence& start) const;
  bool fenced(const std::string& key, const proto::Fence& fence);
  void admit(slot& at, time_point_us now);
  bool ready(const sequence& s) const;
  void finish(sequence& s, const sequence::outcome& how, time_point_us now, effects& out);
  void fail(sequence& s, const error& why, effects& out);
  void send_tokens(sequence& s, const std::string& text, float log_probability, effects& out);
  void remove(sequence& s);  // s is destroyed
  template <class Choose>
  void fail_where(const error& why, Choose&& choose, effects& out);

  inference_settings settings_;
  std::map<std::string, slot> slots_;
  std::unordered_map<std::string, sequence*> by_key_;
  fence_table fences_;
  counters counters_;
  std::string last_digest_;  // models take turns
};

}  // namespace troupe
