#include "actors/inference/canary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "kernels/model/model.hpp"
#include "kernels/sampler/sampler.hpp"

namespace troupe {
namespace {

constexpr std::size_t prompt_tokens_max = 16;

result<std::vector<kernels::token_id>> canary_tokens(const kernels::tokenizer& words,
                                                     std::size_t most) {
  auto prompt = words.encode(canary_prompt, {.add_beginning = true, .parse_special = false});
  if (!prompt) return prompt.failure();
  prompt->resize(std::min({prompt->size(), prompt_tokens_max, most}));
  if (prompt->empty()) prompt->push_back(0);
  return prompt;
}

// The prompt as the engine has room for it, and how many tokens may follow.
struct canary_place {
  std::vector<kernels::token_id> prompt;
  std::uint32_t count = 0;
  std::vector<kernels::block_id> blocks;
};

result<canary_place> place_canary(const kernels::engine& engine, const kernels::tokenizer& words,
                                  std::uint32_t count) {
  const kernels::engine_description& limits = engine.description();
  const std::uint64_t room = std::min<std::uint64_t>(
      limits.context_tokens_max, std::uint64_t{limits.kv_blocks} * kernels::kv_block_tokens);
  if (room < 2)
    return error{error_code::resource_exhausted, "the engine has no room for the canary", {}};
  auto prompt = canary_tokens(words, room - 1);
  if (!prompt) return prompt.failure();
  canary_place place{std::move(*prompt), 0, {}};
  place.count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(count, room - place.prompt.size()));
  place.blocks.resize(kernels::blocks_for(place.prompt.size() + place.count));
  std::iota(place.blocks.begin(), place.blocks.end(), 0);
  return place;
}

double deviation_of(std::span<const float> logits) {
  double sum = 0, squares = 0;
  for (const float logit : logits) {
    sum += logit;
    squares += static_cast<double>(logit) * logit;
  }
  const double count = static_cast<double>(logits.size()), mean = sum / count;
  return std::sqrt(std::max(0.0, squares / count - mean * mean));
}

error wrong(std::size_t index, const std::string& what) {
  return {
      error_code::internal,
      "the GPU's logits at token " + std::to_string(index) + " of the processor's canary: " + what,
      "this GPU or its driver computes differently: do not use it"};
}

// How far the token is behind the best, in deviations of the processor's logits.
result<double> distance_behind(std::size_t index, std::span<const float> tested,
                               std::span<const float> processor, kernels::token_id token) {
  if (!std::all_of(tested.begin(), tested.end(), [](float logit) { return std::isfinite(logit); }))
    return wrong(index, "one is not finite");
  const float best = *std::max_element(tested.begin(), tested.end());
  const double behind = static_cast<double>(best) - tested[static_cast<std::size_t>(token)];
  if (behind == 0) return 0.0;
  const double distance = behind / deviation_of(processor);
  if (distance <= canary_distance_max) return distance;
  return wrong(index, "the processor's token is " + std::to_string(distance) +
                          " deviations behind the best, " + std::to_string(canary_distance_max) +
                          " are allowed");
}

// As many layers from `first` on as take bytes_max at most; one at least.
std::uint32_t end_of_range(const kernels::model& weights, kernels::kv_type kv, std::uint64_t blocks,
                           std::uint32_t first, std::uint64_t bytes_max) {
  std::uint32_t end = first + 1;
  for (; end < weights.shape.layers; ++end) {
    const kernels::memory_need need = kernels::cpu_memory_need(weights, kv, {first, end + 1});
    if (need.weight_bytes + blocks * need.kv_block_bytes > bytes_max) break;
  }
  return end;
}

}  // namespace

result<double> judge_in_ranges(const std::shared_ptr<const kernels::model>& weights,
                               const kernels::engine_settings& settings, std::uint64_t bytes_max,
                               const std::vector<kernels::token_id>& canary) {
  if (canary.empty()) return 0.0;
  const std::size_t context = weights->shape.context_tokens;
  auto tokens = canary_tokens(*weights->words, context - std::min(context - 1, canary.size()));
  if (!tokens) return tokens.failure();
  const std::size_t prompt = tokens->size();
  tokens->insert(tokens->end(), canary.begin(), canary.end() - 1);
  std::vector<kernels::block_id> blocks(kernels::blocks_for(tokens->size()));
  std::iota(blocks.begin(), blocks.end(), 0);
  const kernels::sequence_step step{
      .tokens = *tokens, .position = 0, .blocks = blocks, .all_logits = true};
  kernels::engine_settings part = settings;
  part.batch_tokens_max = static_cast<std::uint32_t>(tokens->size());
  std::vector<float> stream, logits;
  for (std::uint32_t first = 0; first < weights->shape.layers; first = part.layers.end) {
    part.layers = {first, end_of_range(*weights, settings.kv, blocks.size(), first, bytes_max)};
    part.kv_bytes =
        blocks.size() * kernels::cpu_memory_need(*weights, settings.kv, part.layers).kv_block_bytes;
    auto stage = kernels::make_cpu_stage(weights, part);
    if (!stage) return stage.failure();
    if (status begun = (*stage)->begin({&step, 1}, stream); !begun) return begun.failure();
    auto out = (*stage)->finish();
    if (!out) return out.failure();
    stream.assign(out->stream.begin(), out->stream.end());
    logits.assign(out->logits.values.begin(), out->logits.values.end());
  }
  const std::uint32_t vocabulary = weights->shape.vocabulary;
  double farthest = 0;
  for (std::size_t i = 0; i < canary.size(); ++i) {
    const std::span<const float> row =
        std::span<const float>(logits).subspan((prompt - 1 + i) * vocabulary, vocabulary);
    const auto drawn = kernels::sample(row, {}, {}, {}, 0);  // greedy: the index means nothing
    if (!drawn) return drawn.failure();
    if (drawn->id == canary[i]) continue;
    const double behind = static_cast<double>(row[static_cast<std::size_t>(drawn->id)]) -
                          row[static_cast<std::size_t>(canary[i])];
    // Equal logits have an order too: the smallest number stands for "not the same".
    farthest = std::max({farthest, behind / deviation_of(row), std::numeric_limits<double>::min()});
  }
  return farthest;
}

result<std::vector<kernels::token_id>> run_canary(kernels::engine& engine,
                                                  const kernels::tokenizer& words,
                                                  std::uint32_t count) {
  auto place = place_canary(engine, words, count);
  if (!place) return place.failure();
  std::vector<kernels::token_id> answer;
  std::uint32_t position = 0;
  std::span<const kernels::token_id> next = place->prompt;
  while (answer.size() < place->count) {
    // Every other token from the best logit alone: an engine finds it in code of its own.
    const bool by_best = answer.size() % 2 == 1;
    const kernels::sequence_step step{
        .tokens = next, .position = position, .blocks = place->blocks, .best = by_best ? 1u : 0u};
    auto logits = engine.step({&step, 1});
    if (!logits) return logits.failure();
    const auto index = static_cast<std::uint32_t>(answer.size());
    auto drawn = by_best ? kernels::sample(logits->best.front(), {}, index)
                         : kernels::sample(logits->values, {}, place->prompt, answer, index);
    if (!drawn) return drawn.failure();
    position += static_cast<std::uint32_t>(next.size());
    answer.push_back(drawn->id);
    next = std::span{answer}.last(1);
  }
  return answer;
}

result<double> walk_along_canary(kernels::engine& tested, kernels::engine& processor,
                                 const kernels::tokenizer& words,
                                 const std::vector<kernels::token_id>& wanted) {
  auto place = place_canary(processor, words, static_cast<std::uint32_t>(wanted.size()));
  if (!place) return place.failure();
  double farthest = 0;
  std::uint32_t position = 0;
  std::span<const kernels::token_id> next = place->prompt;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    kernels::sequence_step step{.tokens = next, .position = position, .blocks = place->blocks};
    auto theirs = processor.step({&step, 1});
    if (!theirs) return theirs.failure();
    auto own = tested.step({&step, 1});
    if (!own) return own.failure();
    const auto distance = distance_behind(i, own->values, theirs->values, wanted[i]);
    if (!distance) return distance.failure();
    farthest = std::max(farthest, *distance);
    const auto best = static_cast<kernels::token_id>(
        std::max_element(own->values.begin(), own->values.end()) - own->values.begin());
    if (i % 2 == 1) {
      step.best = 1;  // computes the same position again
      auto alone = tested.step({&step, 1});
      if (!alone) return alone.failure();
      const auto drawn = kernels::sample(alone->best.front(), {}, static_cast<std::uint32_t>(i));
      if (!drawn) return drawn.failure();
      if (drawn->id != best) return wrong(i, "the best that the GPU finds is not the row's");
    }
    position += static_cast<std::uint32_t>(next.size());
    next = std::span{wanted}.subspan(i, 1);
  }
  return farthest;
}

}  // namespace troupe
