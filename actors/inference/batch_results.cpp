// What a step's logits mean to its sequences.
#include <algorithm>
#include <cmath>

#include "actors/inference/inference_core.hpp"
#include "actors/inference/sequence_blocks.hpp"
#include "actors/inference/sequence_messages.hpp"

namespace troupe {
namespace {

struct wanted_rows {
  std::size_t logits = 0, hidden = 0, best = 0;
};

wanted_rows rows_of(std::span<const kernels::sequence_step> steps) {
  wanted_rows rows;
  for (const kernels::sequence_step& step : steps) {
    if (step.best > 0)
      ++rows.best;
    else if (!step.no_logits)
      rows.logits += step.all_logits ? step.tokens.size() : 1;
    if (step.hidden) rows.hidden += step.tokens.size();
  }
  return rows;
}

std::optional<error> check(const kernels::step_logits& given, const wanted_rows& wanted,
                           const kernels::engine_description& engine) {
  if (given.rows == wanted.logits && given.values.size() == given.rows * engine.vocabulary_size &&
      given.hidden.size() == wanted.hidden * engine.embedding_size &&
      given.best.size() == wanted.best)
    return std::nullopt;
  return error{error_code::internal,
               "the engine returned " + std::to_string(given.rows) +
                   " rows of logits, the best of " + std::to_string(given.best.size()) + " and " +
                   std::to_string(given.hidden.size()) + " hidden values where " +
                   std::to_string(wanted.logits) + ", " + std::to_string(wanted.best) + " and " +
                   std::to_string(wanted.hidden) + " rows were asked for",
               {}};
}

}  // namespace

inference_core::effects inference_core::absorb(const batch& done,
                                               const result<kernels::step_logits>& logits,
                                               time_point_us now) {
  effects out;
  clock_ = std::max(clock_, now);
  slot& at = slots_.at(done.digest);
  const kernels::engine_description& engine = at.facts->description;
  std::optional<error> wrong;
  if (!logits)
    wrong = logits.failure();
  else
    wrong = check(*logits, rows_of(done.steps), engine);
  if (wrong) {
    for (sequence* s : done.sequences) fail(*s, *wrong, out);
    return out;
  }
  std::size_t row = 0, hidden = 0, best = 0;
  for (std::size_t i = 0; i < done.steps.size(); ++i) {
    sequence& s = *done.sequences[i];
    const kernels::sequence_step& step = done.steps[i];
    s.computed += static_cast<std::uint32_t>(step.tokens.size());
    ++s.batches;
    s.batch_mates += done.sequences.size();
    publish_blocks(s, at.kv);
    if (step.hidden) {
      const std::size_t values = step.tokens.size() * engine.embedding_size;
      absorb_hidden(s, step, logits->hidden.subspan(hidden, values), now, out);
      hidden += values;
    } else if (step.all_logits) {
      const std::size_t values = step.tokens.size() * engine.vocabulary_size;
      absorb_scores(s, step, logits->values.subspan(row * engine.vocabulary_size, values), now,
                    out);
      row += step.tokens.size();
    } else if (step.best > 0) {
      absorb_best(s, logits->best[best++], now, out);
    } else if (!step.no_logits) {
      const std::size_t width = engine.vocabulary_size;
      absorb_row(s, logits->values.subspan(row++ * width, width), now, out);
    }
  }
  return out;
}

void inference_core::absorb_row(sequence& s, std::span<const float> logits, time_point_us now,
                                effects& out) {
  std::span<const std::uint64_t> allowed;  // empty: every token
  if (s.constraint() != nullptr) {
    allowed = slots_.at(s.digest).constraints->allowed_after(*s.constraint());
    if (allowed.empty())
      return fail(s,
                  {error_code::unsupported,
                   "the model's vocabulary cannot write what the constraint asks for",
                   "leave the constraint out, or use another model"},
                  out);
  }
  const auto drawn =
      kernels::sample(logits, s.sampling, s.prompt(), s.answer(), s.answer_size(), allowed);
  if (!drawn) return fail(s, drawn.failure(), out);
  const std::vector<kernels::sampled_token> others =
      s.alternatives == 0 ? std::vector<kernels::sampled_token>{}
                          : kernels::top_log_probabilities(logits, s.alternatives);
  absorb_token(s, *drawn, others, now, out);
}

void inference_core::absorb_best(sequence& s, const kernels::best_logits& best, time_point_us now,
                                 effects& out) {
  const auto drawn = kernels::sample(best, s.sampling, s.answer_size());
  if (!drawn) return fail(s, drawn.failure(), out);
  absorb_token(s, *drawn, kernels::top_log_probabilities(best, s.alternatives), now, out);
}

void inference_core::absorb_token(sequence& s, const kernels::sampled_token& drawn,
                                  std::span<const kernels::sampled_token> alternatives,
                                  time_point_us now, effects& out) {
  ++counters_.tokens_sampled;
  shares_.charge(s.tenant, 1);
  if (!s.sampled_once) s.first_token = now;
  s.sampled_once = true;
  const sequence::outcome next = s.accept(drawn.id);
  s.extend_names();
  if (next.sends) {
    out.posts.push_back(sequence_tokens(s, next.text, drawn, alternatives));
    --s.credit;
    s.no_credit_since = now;
  }
  if (next.finished) finish(s, next, now, out);
}

// The sum goes on in rising position, one double addition for each row: the chunks that the prompt
// was cut into leave no trace in it. Rows that are computed again are in it already.
void inference_core::absorb_hidden(sequence& s, const kernels::sequence_step& step,
                                   std::span<const float> rows, time_point_us now, effects& out) {
  const std::size_t width = rows.size() / step.tokens.size();
  s.pooled.resize(width, 0.0);
  for (std::size_t i = 0; i < step.tokens.size(); ++i) {
    if (step.position + i < s.rows_taken) continue;
    for (std::size_t d = 0; d < width; ++d) s.pooled[d] += static_cast<double>(rows[i * width + d]);
    ++s.rows_taken;
  }
  finish_reading(s, now, out);
}

// Each row tells about the token after it.
void inference_core::absorb_scores(sequence& s, const kernels::sequence_step& step,
                                   std::span<const float> rows, time_point_us now, effects& out) {
  const std::size_t width = rows.size() / step.tokens.size();
  for (std::size_t i = 0; i < step.tokens.size(); ++i) {
    const std::size_t position = step.position + i;
    if (position < s.rows_taken) continue;
    ++s.rows_taken;
    if (position + 1 == s.tokens.size()) break;
    const double score =
        kernels::log_probability(rows.subspan(i * width, width), s.tokens[position + 1]);
    if (!std::isfinite(score))
      return fail(s,
                  {error_code::internal,
                   "the logits after position " + std::to_string(position) + " are not finite",
                   {}},
                  out);
    s.log_probabilities.push_back(static_cast<float>(score));
  }
  finish_reading(s, now, out);
}

void inference_core::finish_reading(sequence& s, time_point_us now, effects& out) {
  if (s.tokens_left() > 0) return;
  if (!s.sampled_once) s.first_token = now;
  s.sampled_once = true;
  finish(s, s.end(proto::LENGTH), now, out);
}

}  // namespace troupe
