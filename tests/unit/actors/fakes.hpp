// Doubles for the cores' tests: a tokenizer of letters, an engine whose logits are a pseudo-random
// function of the tokens that it finds in its KV blocks, and messages as a gateway would send them.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/inference/inference_core.hpp"
#include "actors/shell/role.hpp"
#include "kernels/engine.hpp"
#include "kernels/ops/row_ops.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe::fakes {

// Ids 1..26 are 'a'..'z', 27 is a space, 28 "ab", 29 "the", 30 and 31 the two bytes of "é"; 0 ends.
// 32 ids.
class letters final : public kernels::tokenizer {
 public:
  static constexpr std::uint32_t size = 32;

  result<std::vector<kernels::token_id>> encode(std::string_view text,
                                                kernels::encode_options) const override {
    std::vector<kernels::token_id> ids;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] >= 'a' && text[i] <= 'z') {
        ids.push_back(text[i] - 'a' + 1);
      } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
        return error{
            error_code::invalid_argument, "invalid UTF-8 at byte " + std::to_string(i), {}};
      } else {
        ids.push_back(27);
      }
    }
    return ids;
  }
  std::string_view piece(kernels::token_id id, bool) const override {
    static const std::string letters = "abcdefghijklmnopqrstuvwxyz ";
    if (id >= 1 && id <= 27)
      return std::string_view{letters}.substr(static_cast<std::size_t>(id) - 1, 1);
    if (id == 28) return "ab";
    if (id == 29) return "the";
    if (id == 30) return "\xC3";
    if (id == 31) return "\xA9";
    return "";
  }
  std::string decode(std::span<const kernels::token_id> ids, bool special) const override {
    std::string text;
    for (const auto id : ids) text += piece(id, special);
    return text;
  }
  std::uint32_t vocabulary_size() const override { return size; }
  std::optional<kernels::token_id> beginning() const override { return std::nullopt; }
  bool wants_beginning() const override { return false; }
  std::span<const kernels::token_id> end_tokens() const override { return ends_; }
  std::string_view kind() const override { return "letters"; }
  std::string_view pre_tokenizer() const override { return ""; }
  const std::string& digest() const override { return digest_; }

 private:
  std::vector<kernels::token_id> ends_{0};
  std::string digest_ = std::string(64, 'e');
};

// Keeps the tokens it was given in its blocks, and reads every position back from them: a wrong
// block, position or an overwritten neighbour changes the logits and hidden rows. Refuses what the
// engine door refuses.
class prf_engine final : public kernels::engine {
 public:
  prf_engine(std::uint32_t blocks, std::uint32_t context, std::uint64_t key = 1)
      : key_(key), kv_(blocks) {
    about_.backend = "fake";
    about_.numerics_class = "fake-1";
    about_.variant = "plain";
    about_.vocabulary_size = letters::size;
    about_.embedding_size = 3;
    about_.context_tokens_max = context;
    about_.kv_blocks = blocks;
    about_.weight_bytes = 1000;
    about_.kv_bytes = blocks * 16;
  }
  const kernels::engine_description& description() const override { return about_; }

  result<kernels::step_logits> step(std::span<const kernels::sequence_step> batch) override {
    values_.clear();
    hidden_.clear();
    best_.clear();
    std::uint32_t rows = 0;
    ++steps;
    largest_batch = std::max(largest_batch, batch.size());
    if (fail_next) return error{error_code::internal, "planted failure", {}};
    if (const auto wrong = check(batch)) return *wrong;
    for (const auto& s : batch) {
      tokens_seen += s.tokens.size();
      for (std::size_t i = 0; i < s.tokens.size(); ++i) at(s, s.position + i) = s.tokens[i];
      const std::size_t end = s.position + s.tokens.size();
      std::uint64_t state = key_;
      for (std::size_t p = 0; p < end; ++p) {
        state = running_hash_next(state, at(s, p));
        if (p < s.position) continue;
        if (s.all_logits || (!s.no_logits && p + 1 == end)) {
          add_logits(state);
          if (s.best > 0)
            keep_best(s.best);
          else
            ++rows;
        }
        for (int d = 0; s.hidden && d < 3; ++d)
          hidden_.push_back(static_cast<float>(state >> (8 * d) & 0xffff) / 65536 - 0.5f);
      }
    }
    largest_rows = std::max(largest_rows, rows);
    return kernels::step_logits{values_, rows, hidden_, best_};
  }

  bool fail_next = false;
  std::uint64_t steps = 0, tokens_seen = 0, best_rows = 0;
  std::size_t largest_batch = 0;
  std::uint32_t largest_rows = 0;

 private:
  void add_logits(std::uint64_t state) {
    for (std::uint32_t v = 0; v < letters::size; ++v) {
      state = running_hash_next(state, static_cast<std::int32_t>(v));
      values_.push_back(static_cast<float>(state >> 40) / 4.0e6f);
    }
  }
  void keep_best(std::uint32_t count) {
    const std::size_t row = values_.size() - letters::size;
    best_.push_back(kernels::best_of(std::span(values_).subspan(row), count,
                                     kernels::best_row_ops().elementwise));
    values_.resize(row);
    ++best_rows;
  }
  std::optional<error> check(std::span<const kernels::sequence_step> batch) const {
    const auto wrong = [](const char* what) {
      return error{error_code::invalid_argument, what, {}};
    };
    std::map<kernels::block_id, std::size_t> written, named;
    for (const auto& s : batch) {
      const std::size_t end = s.position + s.tokens.size();
      if (s.best > 0 && (s.all_logits || s.no_logits)) return wrong("best");
      if (s.tokens.empty() || end > about_.context_tokens_max) return wrong("position");
      if (s.blocks.size() * kernels::kv_block_tokens < end) return wrong("blocks");
      for (std::size_t b = 0; b < kernels::blocks_for(end); ++b) {
        if (s.blocks[b] >= kv_.size()) return wrong("block outside the store");
        ++named[s.blocks[b]];
        if (b >= s.position / kernels::kv_block_tokens) ++written[s.blocks[b]];
      }
    }
    for (const auto& [block, times] : written)
      if (times > 1 || named[block] > 1) return wrong("block is written and shared");
    return std::nullopt;
  }
  kernels::token_id& at(const kernels::sequence_step& s, std::size_t position) {
    return kv_[s.blocks[position / kernels::kv_block_tokens]][position % kernels::kv_block_tokens];
  }
  kernels::engine_description about_;
  std::uint64_t key_;
  std::vector<std::array<kernels::token_id, kernels::kv_block_tokens>> kv_;
  std::vector<float> values_, hidden_;
  std::vector<kernels::best_logits> best_;
};

inline std::shared_ptr<proto::Envelope> letter(const std::string& from,
                                               const std::string& from_actor,
                                               const std::string& to_actor,
                                               std::uint64_t correlation = 0) {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(from);
  message->mutable_sender()->set_actor(from_actor);
  message->mutable_target()->set_node("here");
  message->mutable_target()->set_actor(to_actor);
  message->set_correlation(correlation);
  return message;
}

struct job_wish {
  std::string id = "job-1";
  std::string gateway = "gate";
  std::vector<kernels::token_id> prompt{1, 2, 3};
  std::vector<kernels::token_id> forced{};
  std::uint32_t tokens_max = 8;
  float temperature = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> stop{};
  bool ignore_end = true;
  std::uint32_t credit = 1000;
  std::uint64_t epoch = 1;
  std::uint32_t attempt = 1;
  std::uint32_t deadline_ms = 0;
  std::string digest = "model";
  std::string tenant{};
  proto::JobPriority priority = proto::PRIORITY_NORMAL;
  std::uint32_t alternatives = 0;
  bool token_bytes = false;
  bool embed = false;
  bool score = false;
  std::vector<std::pair<kernels::token_id, float>> bias{};
  std::string schema{};  // of a constraint; empty: none
};

inline envelope_ptr start_message(const job_wish& job) {
  auto message = letter(job.gateway, "gateway", "inference", 0);
  message->set_deadline_ms(job.deadline_ms);
  proto::StartSequence& start = *message->mutable_start_sequence();
  start.set_job_id(job.id);
  start.mutable_fence()->set_gateway_epoch(job.epoch);
  start.mutable_fence()->set_attempt(job.attempt);
  start.set_model_digest(job.digest);
  start.mutable_prompt_ids()->Add(job.prompt.begin(), job.prompt.end());
  start.mutable_forced_ids()->Add(job.forced.begin(), job.forced.end());
  proto::SamplingParameters& sampling = *start.mutable_sampling();
  sampling.set_temperature(job.temperature);
  sampling.set_top_p(1);
  sampling.set_repetition_penalty(1);
  sampling.set_seed(job.seed);
  start.set_tokens_max(job.tokens_max);
  for (const auto& stop : job.stop) start.add_stop(stop);
  start.set_ignore_end(job.ignore_end);
  start.set_credit_tokens(job.credit);
  start.set_tenant(job.tenant);
  start.set_priority(job.priority);
  start.set_alternatives(job.alternatives);
  start.set_token_bytes(job.token_bytes);
  start.set_embed(job.embed);
  start.set_score(job.score);
  if (!job.schema.empty()) sampling.mutable_constraint()->set_json_schema(job.schema);
  for (const auto& [id, bias] : job.bias) {
    proto::LogitBias& to = *sampling.add_logit_bias();
    to.set_id(id);
    to.set_bias(bias);
  }
  return message;
}

// Tokens below `limit`, counted from the answer's start, may be sent.
inline envelope_ptr grant_message(const job_wish& job, std::uint64_t limit) {
  auto message = letter(job.gateway, "gateway", "inference");
  proto::GrantSequenceCredit& grant = *message->mutable_grant_sequence_credit();
  grant.set_job_id(job.id);
  grant.mutable_fence()->set_gateway_epoch(job.epoch);
  grant.mutable_fence()->set_attempt(job.attempt);
  grant.set_limit(limit);
  return message;
}

inline envelope_ptr stop_message(const job_wish& job) {
  auto message = letter(job.gateway, "gateway", "inference");
  proto::StopSequence& stop = *message->mutable_stop_sequence();
  stop.set_job_id(job.id);
  stop.mutable_fence()->set_gateway_epoch(job.epoch);
  stop.mutable_fence()->set_attempt(job.attempt);
  return message;
}

inline envelope_ptr release_message(const std::vector<kernels::token_id>& ids,
                                    std::uint64_t correlation = 9,
                                    const std::string& digest = "model") {
  auto message = letter("gate", "gateway", "inference", correlation);
  message->mutable_release_blocks()->set_model_digest(digest);
  message->mutable_release_blocks()->mutable_ids()->Add(ids.begin(), ids.end());
  return message;
}

inline envelope_ptr load_engine_message(const std::string& digest, std::uint64_t correlation = 1) {
  auto message = letter("here", "model_loader", "inference", correlation);
  message->mutable_load_engine()->set_model_digest(digest);
  return message;
}

// What one attempt sent, put together as a gateway would; checks the conversation's grammar on the
// way.
struct heard {
  std::vector<kernels::token_id> ids;
  std::vector<float> log_probabilities;
  std::vector<std::string> alternatives;  // as bytes, one for each token
  std::vector<std::string> token_bytes;
  std::string text;
  std::uint64_t running_hash = 0;
  std::uint32_t first_index = 0;
  std::vector<std::string> broken;  // grammar rules that were broken
  std::optional<proto::SequenceFinished> finished;
  std::optional<proto::SequenceFailed> failed;
  bool ended() const { return finished || failed; }
  std::string whole_text() const { return text + (finished ? finished->text_tail() : ""); }
};

// An inference core with its engines, driven step by step.
class bench {
 public:
  explicit bench(inference_settings settings = {}) : core(settings) {}

  void add_model(const std::string& digest, std::uint32_t blocks, std::uint32_t context,
                 std::uint64_t key = 1) {
    take(core.step(load_engine_message(digest), now));
    engines[digest] = std::make_unique<prf_engine>(blocks, context, key);
    engine_facts facts{engines[digest]->description(), std::make_shared<letters>(), {1, 2, 3}, 5};
    take(core.engine_made(digest, facts, now));
  }
  void say(const envelope_ptr& message) { take(core.step(message, now)); }

  // One engine step; false where there is nothing to do.
  bool turn() {
    now += time_point_us{1000};
    const auto batch = core.plan(now);
    if (!batch) return false;
    const auto logits = engines.at(batch->digest)->step(batch->steps);
    if (!logits && !engines.at(batch->digest)->fail_next)
      refusals.push_back(logits.failure().text());
    take(core.absorb(*batch, logits, now));
    return true;
  }
  // While there is work, every turn computes or waits for company.
  void run() {
    for (int guard = 0; guard < 100'000 && core.has_work(); ++guard)
      if (!turn() && core.has_work() && !core.held_until()) refusals.push_back("work, but no step");
  }

  heard& of(const job_wish& job) {
    return by_attempt[key(job.gateway, job.id, job.epoch, job.attempt)];
  }

  void take(const inference_core::effects& effects) {
    for (const auto& message : effects.posts) hear(*message);
    loads += effects.loads.size();
    for (const auto& digest : effects.drops) engines.erase(digest);
    if (!effects.compile) return;
    compiles.push_back(*effects.compile);
    if (!holds_compiles) compile();
  }
  // The constraint that the core asked for last, made as its shell does aside.
  void compile() {
    const constraint_wish wish = compiles.back();
    take(core.constraint_made(wish, make_constraint(wish), now));
  }

  inference_core core;
  time_point_us now{1'000'000};
  std::map<std::string, std::unique_ptr<prf_engine>> engines;
  std::map<std::string, heard> by_attempt;
  std::vector<proto::Envelope> others;
  std::vector<std::string> refusals;  // of engines that were not told to fail
  std::size_t loads = 0;
  std::vector<constraint_wish> compiles;  // all that were asked for
  bool holds_compiles = false;            // they wait for compile()

 private:
  static std::string key(const std::string& gateway, const std::string& id, std::uint64_t epoch,
                         std::uint32_t attempt) {
    return gateway + "/" + id + "/" + std::to_string(epoch) + "." + std::to_string(attempt);
  }
  template <class Message>
  heard& find(const proto::Envelope& envelope, const Message& message) {
    return by_attempt[key(envelope.target().node(), message.job_id(),
                          message.fence().gateway_epoch(), message.fence().attempt())];
  }
  void hear(const proto::Envelope& envelope) {
    if (envelope.has_sequence_tokens()) {
      const auto& tokens = envelope.sequence_tokens();
      heard& to = find(envelope, tokens);
      if (to.ended()) to.broken.push_back("tokens after the end");
      if (to.ids.empty()) to.first_index = tokens.first_index();
      if (tokens.first_index() != to.first_index + to.ids.size()) to.broken.push_back("a gap");
      to.ids.insert(to.ids.end(), tokens.ids().begin(), tokens.ids().end());
      to.log_probabilities.insert(to.log_probabilities.end(), tokens.log_probabilities().begin(),
                                  tokens.log_probabilities().end());
      for (const auto& others : tokens.alternatives())
        to.alternatives.push_back(others.SerializeAsString());
      to.token_bytes.insert(to.token_bytes.end(), tokens.token_bytes().begin(),
                            tokens.token_bytes().end());
      to.text += tokens.text();
      to.running_hash = tokens.running_hash();
    } else if (envelope.has_sequence_finished()) {
      heard& to = find(envelope, envelope.sequence_finished());
      if (to.ended()) to.broken.push_back("two ends");
      to.finished = envelope.sequence_finished();
    } else if (envelope.has_sequence_failed()) {
      heard& to = find(envelope, envelope.sequence_failed());
      if (to.ended()) to.broken.push_back("two ends");
      to.failed = envelope.sequence_failed();
    } else {
      others.push_back(envelope);
    }
  }
};

// What one sequence alone gives: the slow twin of batching. One token a step, no credit limits, its
// own engine.
inline heard alone(const job_wish& job, std::uint32_t blocks, std::uint32_t context,
                   std::uint64_t key = 1) {
  inference_settings settings;
  settings.batch_tokens_max = 1;
  bench b{settings};
  b.add_model(job.digest, blocks, context, key);
  job_wish free = job;
  free.credit = 1'000'000;
  free.deadline_ms = 0;
  b.say(start_message(free));
  b.run();
  return b.of(free);
}

class kept_posts final : public post_office {
 public:
  void post(envelope_ptr message) override { posts.push_back(std::move(message)); }
  std::vector<envelope_ptr> posts;
};

}  // namespace troupe::fakes
