#include "kernels/evaluate/perplexity.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/evaluate/prefill.hpp"
#include "kernels/sampler/sampler.hpp"

namespace troupe::kernels {
namespace {

// Logits of more rows than this at once would only take memory.
constexpr std::uint32_t scored_tokens_max = 128;

struct running_sums {
  double nll = 0, nll_squared = 0;
  std::uint64_t count = 0;

  void add(double log_probability) {
    nll -= log_probability;
    nll_squared += log_probability * log_probability;
    ++count;
  }
  perplexity_report report(std::uint32_t chunks) const {
    const double n = static_cast<double>(count), mean = nll / n;
    const double variance = nll_squared / n - mean * mean;
    const double value = std::exp(mean);
    return {.perplexity = value,
            .standard_error = variance > 0 && count > 1 ? std::sqrt(variance / (n - 1)) * value : 0,
            .log_likelihood = -mean,
            .chunks = chunks,
            .tokens_scored = count};
  }
};

// Scores the tokens after the first half of one chunk.
status score_chunk(engine& on, std::span<const token_id> chunk, std::uint32_t step_tokens,
                   running_sums& sums) {
  block_pool pool(on.description().kv_blocks);
  std::vector<block_id> blocks;
  const std::size_t first = chunk.size() / 2, vocabulary = on.description().vocabulary_size;
  if (auto head = prefill(on, chunk.first(first), step_tokens, pool, blocks); !head)
    return head.failure();
  const std::size_t most = std::max(1u, std::min(step_tokens, scored_tokens_max));
  for (std::size_t at = first; at + 1 < chunk.size(); at += most) {
    const std::size_t count = std::min(most, chunk.size() - 1 - at);
    auto logits =
        extend(on, chunk.subspan(at, count), static_cast<std::uint32_t>(at), pool, blocks, true);
    if (!logits) return logits.failure();
    for (std::size_t i = 0; i < count; ++i)
      sums.add(
          log_probability(logits->values.subspan(i * vocabulary, vocabulary), chunk[at + i + 1]));
  }
  return {};
}

}  // namespace

result<perplexity_report> perplexity(
    engine& on, const model& weights, std::span<const token_id> tokens, std::uint32_t context,
    std::uint32_t step_tokens, const std::function<bool(const perplexity_report&)>& progress) {
  if (context < 4 || context > on.description().context_tokens_max)
    return error{error_code::invalid_argument,
                 "a context of " + std::to_string(context) + " tokens",
                 "4 to " + std::to_string(on.description().context_tokens_max) + " are allowed"};
  if (tokens.size() < context)
    return error{error_code::invalid_argument,
                 "the text has " + std::to_string(tokens.size()) +
                     " tokens, fewer than one context of " + std::to_string(context),
                 "give a longer text or a smaller context"};
  running_sums sums;
  std::uint32_t chunks = 0;
  for (std::size_t at = 0; at + context <= tokens.size(); at += context) {
    std::vector<token_id> chunk(tokens.begin() + static_cast<std::ptrdiff_t>(at),
                                tokens.begin() + static_cast<std::ptrdiff_t>(at + context));
    if (weights.words->wants_beginning() && weights.words->beginning())
      chunk[0] = *weights.words->beginning();
    if (status scored = score_chunk(on, chunk, step_tokens, sums); !scored) return scored.failure();
    ++chunks;
    if (progress && !progress(sums.report(chunks))) break;
  }
  return sums.report(chunks);
}

}  // namespace troupe::kernels
