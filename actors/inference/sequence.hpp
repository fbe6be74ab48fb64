// One attempt at one job inside the inference core: its tokens, its place in the KV store, its
// text, its credit.
//
// Everything that it sends (ids, text, log-probabilities, finish reason) is a pure function of the
// StartSequence message and the model. The end token is not part of the answer: it is neither sent
// nor counted. The token that completes a stop text is sent; its text is cut before the stop. An
// answer that a constraint lets nothing follow has ended.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/inference/fence_table.hpp"
#include "actors/inference/stop_text.hpp"
#include "actors/prefix_name.hpp"
#include "actors/running_hash.hpp"
#include "kernels/constraint/json_matcher.hpp"
#include "kernels/sampler/sampler.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe {

class sequence {
 public:
  // What came of one more token (or of the forced ones).
  struct outcome {
    bool sends = false;  // the token is part of the answer
    std::string text;    // with it
    std::optional<proto::FinishReason> finished;
    std::string text_tail;  // with the end
  };

  // `start` was checked. tokens_max is what remains of the job's tokens_max inside the context.
  sequence(const proto::Envelope& envelope, const proto::StartSequence& start,
           kernels::sampling_parameters sampling, std::uint32_t tokens_max,
           std::shared_ptr<const kernels::tokenizer> words, time_point_us now);

  // Before the replay: what the answer may be. `awaits` is over.
  void constrain(kernels::json_matcher to) {
    matcher_.emplace(std::move(to));
    awaits.reset();
  }
  // Null: anything.
  const kernels::json_matcher* constraint() const { return matcher_ ? &*matcher_ : nullptr; }
  // Replays the forced tokens through text and stops: until then the answer is empty. finished is
  // set where they already end it; an error where they go on past an end, or are not what the
  // constraint allows.
  result<outcome> replay_forced();
  // The next token of the answer, as sampled.
  outcome accept(kernels::token_id id);
  // The token's own bytes: a control token's are its name. Valid as long as the sequence.
  std::string_view bytes_of(kernels::token_id id) const { return words_->piece(id, true); }
  // The end without a further token.
  outcome end(proto::FinishReason reason);

  std::span<const kernels::token_id> prompt() const { return {tokens.data(), prompt_size}; }
  std::span<const kernels::token_id> answer() const {
    return std::span{tokens}.subspan(prompt_size);
  }
  std::uint32_t answer_size() const {
    return static_cast<std::uint32_t>(tokens.size()) - prompt_size;
  }
  std::uint64_t tokens_total_max() const { return std::uint64_t{prompt_size} + tokens_max; }
  std::uint32_t tokens_left() const { return static_cast<std::uint32_t>(tokens.size()) - computed; }

  // False: it reads its prompt, and that is all. It then needs every row of it.
  bool answers() const { return !embed && !score; }

  // How many of the best logits its next token is drawn and told from; 0: from the whole row.
  std::uint32_t best_wanted(std::uint32_t vocabulary) const;

  // The names of all full blocks of its tokens.
  void extend_names() { extend_prefix_names(names, root, tokens); }

  proto::Envelope reply;  // addressed, without payload
  std::string key;        // gateway and job id
  std::string job_id, digest, gateway_node;
  proto::Fence fence;
  std::vector<kernels::token_id> tokens;  // prompt, then answer
  std::uint32_t prompt_size = 0;

  // KV (sequence_blocks.hpp)
  std::uint32_t computed = 0;  // tokens whose KV is in the blocks
  std::vector<kernels::block_id> blocks;
  prefix_name root = 0;
  std::vector<prefix_name> names;
  std::uint32_t named = 0;          // leading blocks that the pool knows by name
  bool naming = true;               // false: a name belonged to other tokens
  std::uint32_t computed_once = 0;  // most tokens that ever were in its blocks
  std::uint32_t prefix_tokens = 0;  // of the prompt, found and not computed
  std::uint32_t batches = 0;        // device steps that it took part in
  std::uint64_t batch_mates = 0;    // sequences in these, itself among them

  // Its place among others
  std::string tenant;
  int priority = 1;           // 0: urgent, 1: normal, 2: background
  std::uint64_t arrival = 0;  // order of arrival
  std::uint64_t seat = 0;     // order of first admission; 0: never admitted
  std::uint64_t step = 0;     // the last step that it took part in
  bool running = false;

  // What the job asks for beside tokens
  std::uint32_t alternatives = 0;
  bool token_bytes = false;
  bool embed = false, score = false;
  std::uint32_t rows_taken = 0;          // leading positions whose rows are in what follows
  std::vector<double> pooled;            // embed: the sum of hidden rows, in order of position
  std::vector<float> log_probabilities;  // score: of the prompt's tokens from the second on

  // A constraint that is still being made: nothing of this sequence is computed meanwhile.
  std::optional<proto::AnswerConstraint> awaits;

  kernels::sampling_parameters sampling;
  std::uint32_t tokens_max = 0;
  std::uint64_t credit = 0;
  std::uint64_t running_hash = running_hash_start;
  time_point_us arrived{}, admitted{}, first_token{}, no_credit_since{};
  std::optional<time_point_us> expires;
  bool sampled_once = false;

 private:
  outcome take(kernels::token_id id);
  std::shared_ptr<const kernels::tokenizer> words_;
  kernels::text_stream text_;
  stop_text stops_;
  std::optional<kernels::json_matcher> matcher_;
  std::vector<kernels::token_id> forced_;  // until they are replayed
  bool ignore_end_;
};

// The gateway's node and the job: fences of two gateways are not comparable, so they do not meet.
std::string sequence_key(const std::string& gateway_node, const std::string& job_id);

}  // namespace troupe
