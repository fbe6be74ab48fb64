// One sequence from prompt to last token on an engine that nobody else uses meanwhile: what `troupe
// generate`, a model's canary and tests call. The node's own batching lives in the inference actor.
//
// Pure in the sense of the product: the tokens depend on model, prompt and sampling parameters
// alone. Threading: the caller's thread owns the engine for the time of the call.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"
#include "kernels/sampler/sampler.hpp"

namespace troupe::kernels {

struct generation_request {
  std::span<const token_id> prompt;  // at least one token, and fewer than the context holds
  sampling_parameters sampling;
  std::uint32_t tokens_max = 128;
  std::vector<std::string>
      stop_texts;  // generation ends before the first of them; empty texts are refused
  std::uint32_t step_tokens =
      512;  // prompt tokens in one step; at most the engine's batch_tokens_max
  bool ignore_end_tokens = false;  // go on past the model's end tokens
};

enum class generation_end { end_token, stop_text, tokens_max, context_full, asked_to_stop };
std::string_view name_of(generation_end end);

struct generation {
  std::vector<sampled_token> tokens;  // an end token ends the answer and is no part of it
  std::string text;                   // without a stop text and what follows it
  generation_end end = generation_end::tokens_max;
  double prefill_seconds = 0;  // until the first token was drawn
  double decode_seconds = 0;   // for the tokens after it
};

// Called for each token with the text that is certain by now (may be empty: half a character, or
// the possible begin of a stop text); false ends the generation. Where text was held back until the
// end, the last token is told once more with it.
using generation_listener = std::function<bool(const sampled_token& token, std::string_view text)>;

// Errors: invalid_argument (prompt, parameters), resource_exhausted (the KV store is too small),
// and what step() gives.
result<generation> generate(engine& on, const model& weights, const generation_request& request,
                            const generation_listener& listener = {});

}  // namespace troupe::kernels
