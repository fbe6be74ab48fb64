// Draws token i of a job as a pure function of (logits, parameters, the tokens before it, seed, i).
// Randomness is Philox4x32-10 keyed by the seed, with the token's index as counter: there is no
// state to carry.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"

namespace troupe::kernels {

struct token_bias {
  token_id id = 0;
  float bias = 0;
};

struct sampling_parameters {
  float temperature = 0;         // 0: the largest logit, lowest id at a tie
  std::uint32_t top_k = 0;       // 0: off
  float top_p = 1;               // 1: off
  float min_p = 0;               // 0: off
  float repetition_penalty = 1;  // over prompt and generated tokens
  float presence_penalty = 0;    // over generated tokens
  float frequency_penalty = 0;   // over generated tokens
  std::uint64_t seed = 0;
  std::vector<token_bias> logit_bias =
      {};  // added to these tokens' logits; in rising id, each once
};

struct sampled_token {
  token_id id = 0;
  float log_probability = 0;  // of the unmodified distribution (log-softmax of the raw logits)
};

// Refuses NaN and out-of-range values, saying what is allowed.
status check(const sampling_parameters& parameters);

// index: the token's index in the answer (0 is the first generated). generated.size() == index.
// The order: penalties, bias, temperature, top-k, top-p, min-p, draw. All arithmetic is in a fixed
// order, so the draw is the same on every machine. Logits that are not finite are an `internal`
// error.
// allowed: a bit for each token (bit id % 64 of word id / 64); the others are left out after the
// bias, and top-k and the rest count what is left. Empty: all are allowed. None: an `internal`
// error.
result<sampled_token> sample(std::span<const float> logits, const sampling_parameters& parameters,
                             std::span<const token_id> prompt, std::span<const token_id> generated,
                             std::uint32_t index, std::span<const std::uint64_t> allowed = {});

// How many of the best logits these parameters draw among, where that is known before they are
// seen: of a greedy draw or a small top-k without penalties or bias. 0: the whole row is needed.
// With a constraint it always is.
std::uint32_t best_needed(const sampling_parameters& parameters, std::uint32_t vocabulary);

// What sample() of the whole row gives, bit for bit; `best` has best_needed() tokens or more.
result<sampled_token> sample(const best_logits& best, const sampling_parameters& parameters,
                             std::uint32_t index);

// Log-softmax of the raw logits at one token; id is inside the vocabulary.
double log_probability(std::span<const float> logits, token_id id);

// Log-softmax of the raw logits: the `count` most probable tokens, best first, lowest id at a tie.
std::vector<sampled_token> top_log_probabilities(std::span<const float> logits,
                                                 std::uint32_t count);
std::vector<sampled_token> top_log_probabilities(const best_logits& best, std::uint32_t count);

}  // namespace troupe::kernels
