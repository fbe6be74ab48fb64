// Perplexity of a text, by the method of llama.cpp's llama-perplexity, so that figures can be
// compared: the tokens are cut into chunks of `context`; where the tokenizer wants a beginning
// token it replaces the first one of each chunk; the second half of each chunk is scored. Tokens
// that fill no whole chunk are left out.
#pragma once

#include <functional>
#include <span>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels {

struct perplexity_report {
  double perplexity = 0;
  double standard_error = 0;  // of the perplexity
  double log_likelihood = 0;  // mean of the scored tokens, natural logarithm
  std::uint32_t chunks = 0;
  std::uint64_t tokens_scored = 0;
};

// tokens: the text with the beginning token first where the tokenizer wants one. step_tokens: at
// most the engine's batch_tokens_max. progress (may be empty) is told the report so far after each
// chunk; false ends it there. Errors: invalid_argument (context beyond the model's or below 4,
// fewer tokens than one chunk), and what step() gives.
result<perplexity_report> perplexity(
    engine& on, const model& weights, std::span<const token_id> tokens, std::uint32_t context,
    std::uint32_t step_tokens = 512,
    const std::function<bool(const perplexity_report&)>& progress = {});

}  // namespace troupe::kernels
