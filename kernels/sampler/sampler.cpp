#include "kernels/sampler/sampler.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string>

#include "kernels/ops/exact_math.hpp"
#include "kernels/ops/row_ops.hpp"
#include "kernels/sampler/philox.hpp"

namespace troupe::kernels {
namespace {

// A temperature below its inverse draws like 0 without leaving the range of float.
constexpr float inverse_temperature_max = 1e30f;
constexpr std::uint32_t sorted_first = 64;
constexpr float bias_max = 100;

struct range_row {
  const char* name;
  float sampling_parameters::*value;
  float least, most;
};
constexpr range_row ranges[] = {
    {"temperature", &sampling_parameters::temperature, 0, 100},
    {"top_p", &sampling_parameters::top_p, 0, 1},
    {"min_p", &sampling_parameters::min_p, 0, 1},
    {"repetition_penalty", &sampling_parameters::repetition_penalty, 0.01f, 100},
    {"presence_penalty", &sampling_parameters::presence_penalty, -100, 100},
    {"frequency_penalty", &sampling_parameters::frequency_penalty, -100, 100},
};

std::string plain(float value) {
  std::string text = std::to_string(value);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

// log(sum(exp(logits))), and the largest logit.
struct normalizer {
  float largest;
  double log_sum;
  explicit normalizer(std::span<const float> logits)
      : largest(best_row_ops().elementwise.largest(logits.data(), logits.size())),
        log_sum(largest + exact_log(best_row_ops().elementwise.exponentials(
                              logits.data(), logits.size(), largest, 1.0f, nullptr))) {}
  explicit normalizer(const best_logits& best)
      : largest(best.tokens.front().logit), log_sum(largest + exact_log(best.exponential_sum)) {}
  sampled_token describe(const token_logit& of) const {
    return {of.id, static_cast<float>(of.logit - log_sum)};
  }
  sampled_token describe(std::span<const float> logits, std::uint32_t id) const {
    return describe({static_cast<token_id>(id), logits[id]});
  }
};

// Best first: the larger logit, the lower id at a tie.
struct better {
  std::span<const float> logits;
  bool operator()(std::uint32_t a, std::uint32_t b) const {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  }
};

bool changes_logits(const sampling_parameters& p) {
  return p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0 ||
         !p.logit_bias.empty();
}

std::vector<float> penalized_and_biased(std::span<const float> logits, const sampling_parameters& p,
                                        std::span<const token_id> prompt,
                                        std::span<const token_id> generated) {
  std::vector<float> out(logits.begin(), logits.end());
  std::vector<std::uint32_t> counts(logits.size(), 0);  // of generated tokens
  std::vector<bool> seen(logits.size(), false);
  for (const token_id id : generated) ++counts[static_cast<std::size_t>(id)];
  for (const std::span<const token_id> tokens : {prompt, generated})
    for (const token_id id : tokens) {
      const std::size_t at = static_cast<std::size_t>(id);
      if (seen[at]) continue;
      seen[at] = true;
      float& logit = out[at];
      logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
      if (counts[at] > 0)
        logit = logit - p.presence_penalty - static_cast<float>(counts[at]) * p.frequency_penalty;
    }
  for (const token_bias& bias : p.logit_bias) out[static_cast<std::size_t>(bias.id)] += bias.bias;
  return out;
}

// The tokens that top-k, top-p and min-p leave, in rising order of id. weights[i] = exp((logit -
// largest) / temperature).
std::vector<std::uint32_t> kept_tokens(std::span<const float> logits,
                                       std::span<const float> weights, double total,
                                       const sampling_parameters& p) {
  const std::uint32_t size = static_cast<std::uint32_t>(logits.size());
  std::vector<std::uint32_t> ids(size);
  std::iota(ids.begin(), ids.end(), 0u);
  const bool by_rank = p.top_k > 0 && p.top_k < size;
  std::uint32_t kept = size, sorted = 0;
  const auto sort_to = [&](std::uint32_t end) {
    std::partial_sort(ids.begin() + sorted, ids.begin() + end, ids.end(), better{logits});
    sorted = end;
  };
  if (by_rank) {
    kept = p.top_k;
    sort_to(kept);
    total = 0;
    for (std::uint32_t i = 0; i < kept; ++i) total += weights[ids[i]];
  }
  if (p.top_p < 1) {
    const double wanted = p.top_p * total;
    double sum = 0;
    std::uint32_t i = 0;
    do {
      if (i == sorted) sort_to(std::min(size, std::max(sorted_first, 4 * sorted)));
      sum += weights[ids[i]];
      ++i;
    } while (i < kept && sum < wanted);
    kept = i;
  }
  ids.resize(kept);
  if (p.min_p > 0) std::erase_if(ids, [&](std::uint32_t id) { return weights[id] < p.min_p; });
  if (sorted > 0) std::sort(ids.begin(), ids.end());
  return ids;
}

std::uint32_t draw(std::span<const std::uint32_t> ids, std::span<const float> weights,
                   double uniform) {
  double total = 0;
  for (const std::uint32_t id : ids) total += weights[id];
  const double target = uniform * total;
  double sum = 0;
  std::uint32_t last = ids.front();
  for (const std::uint32_t id : ids) {
    if (weights[id] == 0) continue;
    last = id;
    sum += weights[id];
    if (sum > target) break;
  }
  return last;
}

// The allowed tokens in rising order of id.
std::vector<std::uint32_t> ids_of(std::span<const std::uint64_t> allowed, std::size_t vocabulary) {
  std::vector<std::uint32_t> ids;
  for (std::size_t word = 0; word < allowed.size(); ++word)
    for (std::uint64_t bits = allowed[word]; bits != 0; bits &= bits - 1) {
      const std::size_t id = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      if (id < vocabulary) ids.push_back(static_cast<std::uint32_t>(id));
    }
  return ids;
}

float factor_of(const sampling_parameters& p) {
  return std::min(1.0f / p.temperature, inverse_temperature_max);
}

error not_finite(std::uint32_t index) {
  return {error_code::internal, "the logits of token " + std::to_string(index) + " are not finite",
          "the model's weights are damaged, or its numbers overflow"};
}

status check_tokens(std::span<const token_id> tokens, std::size_t vocabulary) {
  for (const token_id id : tokens)
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary)
      return error{error_code::invalid_argument,
                   "token " + std::to_string(id) + " is outside the vocabulary",
                   "0 to " + std::to_string(vocabulary - 1) + " are allowed"};
  return {};
}

}  // namespace

status check(const sampling_parameters& parameters) {
  for (const range_row& row : ranges) {
    const float value = parameters.*row.value;
    if (!(value >= row.least && value <= row.most))
      return error{error_code::invalid_argument, std::string(row.name) + " is " + plain(value),
                   plain(row.least) + " to " + plain(row.most) + " are allowed"};
  }
  for (std::size_t i = 0; i < parameters.logit_bias.size(); ++i) {
    const auto& [id, bias] = parameters.logit_bias[i];
    if (!(bias >= -bias_max && bias <= bias_max))
      return error{error_code::invalid_argument,
                   "the logit_bias of token " + std::to_string(id) + " is " + plain(bias),
                   plain(-bias_max) + " to " + plain(bias_max) + " are allowed"};
    if (i > 0 && id <= parameters.logit_bias[i - 1].id)
      return error{error_code::invalid_argument,
                   "the logit_bias of token " + std::to_string(id) + " follows that of token " +
                       std::to_string(parameters.logit_bias[i - 1].id),
                   "give them in rising order, each token once"};
  }
  return {};
}

result<sampled_token> sample(std::span<const float> logits, const sampling_parameters& parameters,
                             std::span<const token_id> prompt, std::span<const token_id> generated,
                             std::uint32_t index, std::span<const std::uint64_t> allowed) {
  if (status checked = check(parameters); !checked) return checked.failure();
  if (generated.size() != index)
    return error{error_code::invalid_argument,
                 "token " + std::to_string(index) + " was asked for after " +
                     std::to_string(generated.size()),
                 "give all tokens before it"};
  if (logits.empty() || !all_finite(logits)) return not_finite(index);
  const normalizer raw(logits);

  std::vector<float> changed;
  std::span<const float> used = logits;
  if (changes_logits(parameters)) {
    if (!parameters.logit_bias.empty())  // rising, so the ends tell
      for (const token_bias& bias : {parameters.logit_bias.front(), parameters.logit_bias.back()})
        if (status checked = check_tokens(std::span(&bias.id, 1), logits.size()); !checked)
          return checked.failure();
    for (const std::span<const token_id> tokens : {prompt, generated})
      if (status checked = check_tokens(tokens, logits.size()); !checked) return checked.failure();
    changed = penalized_and_biased(logits, parameters, prompt, generated);
    used = changed;
  }
  std::vector<std::uint32_t> ids;  // of what is left, where not all is
  std::vector<float> left;
  if (!allowed.empty()) {
    ids = ids_of(allowed, logits.size());
    if (ids.empty())
      return error{error_code::internal,
                   "no token is allowed at place " + std::to_string(index) + " of the answer",
                   {}};
    for (const std::uint32_t id : ids) left.push_back(used[id]);
    used = left;
  }
  const auto described = [&](std::uint32_t at) {
    return raw.describe(logits, ids.empty() ? at : ids[at]);
  };
  // The first of the largest, found by value: std::max_element waits for each comparison in turn.
  const float largest = used.data() == logits.data()
                            ? raw.largest
                            : best_row_ops().elementwise.largest(used.data(), used.size());
  const auto best =
      static_cast<std::uint32_t>(std::find(used.begin(), used.end(), largest) - used.begin());
  if (parameters.temperature == 0) return described(best);

  std::vector<float> weights(used.size());
  const double total = best_row_ops().elementwise.exponentials(
      used.data(), used.size(), used[best], factor_of(parameters), weights.data());
  const std::vector<std::uint32_t> kept = kept_tokens(used, weights, total, parameters);
  return described(draw(kept, weights, uniform_draw(parameters.seed, index)));
}

std::uint32_t best_needed(const sampling_parameters& parameters, std::uint32_t vocabulary) {
  if (changes_logits(parameters)) return 0;
  if (parameters.temperature == 0) return 1;
  const bool few = parameters.top_k <= best_logits_max && parameters.top_k < vocabulary;
  return few ? parameters.top_k : 0;
}

result<sampled_token> sample(const best_logits& best, const sampling_parameters& parameters,
                             std::uint32_t index) {
  if (status checked = check(parameters); !checked) return checked.failure();
  if (best.tokens.empty() || !all_finite(std::span(&best.tokens.front().logit, 1)))
    return not_finite(index);
  const normalizer raw(best);
  if (parameters.temperature == 0) return raw.describe(best.tokens.front());

  const std::size_t count = std::min<std::size_t>(parameters.top_k, best.tokens.size());
  std::vector<float> logits, weights(count);
  for (std::size_t i = 0; i < count; ++i) logits.push_back(best.tokens[i].logit);
  best_row_ops().elementwise.exponentials(logits.data(), count, logits.front(),
                                          factor_of(parameters), weights.data());
  // From here on as over the whole row: the sum in order of rank, all else in rising order of id.
  double total = 0;
  for (const float weight : weights) total += weight;
  std::vector<std::uint32_t> by_id(count);
  std::iota(by_id.begin(), by_id.end(), 0u);
  std::sort(by_id.begin(), by_id.end(), [&best](std::uint32_t a, std::uint32_t b) {
    return best.tokens[a].id < best.tokens[b].id;
  });
  const std::vector<float> ranked = weights;
  for (std::size_t i = 0; i < count; ++i) {
    logits[i] = best.tokens[by_id[i]].logit;
    weights[i] = ranked[by_id[i]];
  }
  const std::vector<std::uint32_t> kept = kept_tokens(logits, weights, total, parameters);
  const std::uint32_t drawn = draw(kept, weights, uniform_draw(parameters.seed, index));
  return raw.describe(best.tokens[by_id[drawn]]);
}

double log_probability(std::span<const float> logits, token_id id) {
  return logits[static_cast<std::size_t>(id)] - normalizer(logits).log_sum;
}

std::vector<sampled_token> top_log_probabilities(std::span<const float> logits,
                                                 std::uint32_t count) {
  std::vector<sampled_token> best;
  if (logits.empty()) return best;
  const normalizer raw(logits);
  std::vector<std::uint32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0u);
  const std::size_t kept = std::min<std::size_t>(count, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end(),
                    better{logits});
  for (std::size_t i = 0; i < kept; ++i) best.push_back(raw.describe(logits, ids[i]));
  return best;
}

std::vector<sampled_token> top_log_probabilities(const best_logits& best, std::uint32_t count) {
  std::vector<sampled_token> top;
  if (best.tokens.empty()) return top;
  const normalizer raw(best);
  for (const token_logit& one :
       std::span(best.tokens).first(std::min<std::size_t>(count, best.tokens.size())))
    top.push_back(raw.describe(one));
  return top;
}

}  // namespace troupe::kernels
