// The batch planner of the inference core: admission, the next batch, and what its logits mean.
#include <algorithm>

#include "actors/inference/inference_core.hpp"
#include "actors/inference/sequence_messages.hpp"

namespace troupe {

bool inference_core::ready(const sequence& s) const {
  return s.credit > 0 || s.tokens_left() > 1;
}

bool inference_core::has_work() const {
  for (const auto& [digest, at] : slots_) {
    for (const auto& s : at.running)
      if (ready(*s)) return true;
    if (at.waiting.empty() || at.running.size() >= settings_.sequences_running_max) continue;
    const sequence& next = *at.waiting.front();
    if (ready(next) && blocks_for(next.tokens_total_max()) <= at.pool.free_count()) return true;
  }
  return false;
}

// In order of arrival; nobody overtakes a sequence that waits for memory, so none waits for ever.
void inference_core::admit(slot& at, time_point_us now) {
  while (!at.waiting.empty() && at.running.size() < settings_.sequences_running_max) {
    sequence& next = *at.waiting.front();
    auto blocks = at.pool.take(static_cast<std::uint32_t>(blocks_for(next.tokens_total_max())));
    if (!blocks) return;
    next.blocks = std::move(*blocks);
    next.admitted = now;
    at.running.push_back(std::move(at.waiting.front()));
    at.waiting.pop_front();
    --counters_.waiting;
    ++counters_.running;
  }
}

namespace {

// The tokens of `s` that fit into `budget`. Without credit the last one stays: its logits would
// have nowhere to go.
std::uint32_t share_of(const sequence& s, std::uint32_t budget) {
  const std::uint32_t left = s.tokens_left() - (s.credit > 0 ? 0 : 1);
  return std::min(left, budget);
}

void add(inference_core::batch& to, sequence& s, std::uint32_t count) {
  kernels::sequence_step step;
  step.tokens = std::span{s.tokens}.subspan(s.computed, count);
  step.position = s.computed;
  step.blocks = s.blocks;
  step.no_logits = count < s.tokens_left();
  to.steps.push_back(step);
  to.sequences.push_back(&s);
}

}  // namespace

std::optional<inference_core::batch> inference_core::plan(time_point_us now) {
  auto at = slots_.upper_bound(last_digest_);
  for (std::size_t tried = 0; tried < slots_.size(); ++tried, ++at) {
    if (at == slots_.end()) at = slots_.begin();
    slot& here = at->second;
    if (!here.facts) continue;
    admit(here, now);
    batch next{at->first, {}, {}};
    std::uint32_t budget = std::max(1u, settings_.batch_tokens_max);
    std::vector<sequence*> decodes, prompts;
    for (const auto& s : here.running) {
      if (!ready(*s)) continue;
      (s->tokens_left() == 1 ? decodes : prompts).push_back(s.get());
    }
    // Decodes come first: one token each. Where they do not all fit, they take turns.
    const std::uint32_t turn = decodes.empty() ? 0 : here.decode_turn % decodes.size();
    for (std::size_t i = 0; i < decodes.size() && budget > 0; ++i, --budget)
      add(next, *decodes[(turn + i) % decodes.size()], 1);
    here.decode_turn = turn + static_cast<std::uint32_t>(next.steps.size());
    for (sequence* s : prompts) {
      if (budget == 0) break;
      const std::uint32_t count = share_of(*s, budget);
      add(next, *s, count);
      budget -= count;
    }
    if (next.steps.empty()) continue;
    last_digest_ = at->first;
    return next;
  }
  return std::nullopt;
}

inference_core::effects inference_core::absorb(const batch& done,
                                               const result<kernels::step_logits>& logits,
                                               time_point_us now) {
  effects out;
  if (!logits) {
    for (sequence* s : done.sequences) fail(*s, logits.failure(), out);
    return out;
  }
  const std::size_t width = slots_.at(done.digest).facts->description.vocabulary_size;
  const auto wanted = std::count_if(done.steps.begin(), done.steps.end(),
                                    [](const auto& step) { return !step.no_logits; });
  if (logits->rows != wanted || logits->values.size() != width * logits->rows) {
    const error why{error_code::internal,
                    "the engine returned " + std::to_string(logits->rows) +
                        " rows of logits where " + std::to_string(wanted) + " were asked for",
                    {}};
    for (sequence* s : done.sequences) fail(*s, why, out);
    return out;
  }
  std::size_t row = 0;
  for (std::size_t i = 0; i < done.steps.size(); ++i) {
    sequence& s = *done.sequences[i];
    s.computed += static_cast<std::uint32_t>(done.steps[i].tokens.size());
    if (done.steps[i].no_logits) continue;
    const auto values = logits->values.subspan(row++ * width, width);
    const auto drawn = kernels::sample(values, s.sampling, s.prompt(), s.answer(), s.answer_size());
    if (!drawn) {
      fail(s, drawn.failure(), out);
      continue;
    }
    ++counters_.tokens_sampled;
    if (!s.sampled_once) s.first_token = now;
    s.sampled_once = true;
    const sequence::outcome next = s.accept(drawn->id);
    if (next.sends) {
      send_tokens(s, next.text, drawn->log_probability, out);
      --s.credit;
      s.no_credit_since = now;
    }
    if (next.finished) finish(s, next, now, out);
  }
  return out;
}

void inference_core::send_tokens(sequence& s, const std::string& text, float log_probability,
                                 effects& out) {
  auto message = std::make_shared<proto::Envelope>(s.reply);
  proto::SequenceTokens& tokens = *message->mutable_sequence_tokens();
  tokens.set_job_id(s.job_id);
  *tokens.mutable_fence() = s.fence;
  tokens.set_first_index(s.answer_size() - 1);
  tokens.add_ids(s.tokens.back());
  tokens.set_text(text);
  tokens.add_log_probabilities(log_probability);
  tokens.set_running_hash(s.running_hash);
  out.posts.push_back(std::move(message));
}

}  // namespace troupe
