// What the next step computes: decodes first, then pieces of prompts.
#include <algorithm>
#include <tuple>

#include "actors/inference/inference_core.hpp"
#include "actors/inference/sequence_blocks.hpp"

namespace troupe {
namespace {

// The tokens of `s` that fit into `budget`. Without credit the last one stays: its logits would
// have nowhere to go.
std::uint32_t share_of(const sequence& s, std::uint32_t budget) {
  const std::uint32_t left = s.tokens_left() - (s.credit > 0 || !s.answers() ? 0 : 1);
  return std::min(left, budget);
}

// Rows of one step whose logits are all wanted.
std::uint32_t scored_rows_max(const kernels::engine_description& engine,
                              const inference_settings& settings) {
  const std::uint64_t row_bytes = std::uint64_t{engine.vocabulary_size} * sizeof(float);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      settings.score_bytes_max / std::max<std::uint64_t>(1, row_bytes), 1, UINT32_MAX));
}

void add(inference_core::batch& to, sequence& s, std::uint32_t count, std::uint32_t vocabulary) {
  kernels::sequence_step step;
  step.tokens = std::span{s.tokens}.subspan(s.computed, count);
  step.position = s.computed;
  step.blocks = s.blocks;
  step.all_logits = s.score;
  step.no_logits = s.embed || (s.answers() && count < s.tokens_left());
  step.hidden = s.embed;
  if (!step.all_logits && !step.no_logits) step.best = s.best_wanted(vocabulary);
  to.steps.push_back(step);
  to.sequences.push_back(&s);
}

}  // namespace

bool inference_core::ready(const sequence& s) const {
  if (s.awaits || (s.expires && *s.expires <= clock_)) return false;
  return !s.answers() || s.credit > 0 || s.tokens_left() > 1;
}

bool inference_core::has_work() const {
  for (const auto& [digest, at] : slots_) {
    for (const auto& s : at.running)
      if (ready(*s)) return true;
    if (at.kv.is_behind() || next_admission(at) || (held_until(at) && pick(at) != nullptr))
      return true;
  }
  return false;
}

std::optional<inference_core::batch> inference_core::plan(time_point_us now) {
  clock_ = std::max(clock_, now);
  auto at = slots_.upper_bound(last_digest_);
  for (std::size_t tried = 0; tried < slots_.size(); ++tried, ++at) {
    if (at == slots_.end()) at = slots_.begin();
    slot& here = at->second;
    if (!here.facts) continue;
    admit(here);
    ++steps_;
    batch next{at->first, {}, {}, {}};
    std::uint32_t budget = std::max(1u, settings_.batch_tokens_max);
    add_decodes(here, next, budget);
    if (!next.steps.empty()) budget = std::min(budget, settings_.prefill_chunk_max);
    add_prompts(here, next, budget);
    here.kv.write_behind();
    next.copies = here.kv.take_orders();
    if (next.steps.empty() && next.copies.empty()) continue;
    last_digest_ = at->first;
    return next;
  }
  return std::nullopt;
}

// A place for one more token. Where no block is left, those behind `s` that are not part of this
// step give theirs up: the ones that could not go on anyway, then the last in standing.
bool inference_core::grow(slot& at, sequence& s) {
  while (!at.kv.extend(s.blocks, std::uint64_t{s.computed} + 1)) {
    sequence* victim = nullptr;
    const auto goes_first = [this](const sequence& a, const sequence& b) {
      return ready(a) != ready(b) ? !ready(a) : stands_before(b, a);
    };
    for (const auto& other : at.running) {
      if (other.get() == &s || other->step == steps_) continue;
      if (ready(*other) && !stands_before(s, *other)) continue;
      if (victim == nullptr || goes_first(*other, *victim)) victim = other.get();
    }
    if (victim == nullptr) return false;
    preempt(at, *victim);
  }
  return true;
}

// One token each. Where they do not all fit, those come first that have waited longest.
void inference_core::add_decodes(slot& at, batch& to, std::uint32_t& budget) {
  std::vector<sequence*> decodes;
  for (const auto& s : at.running)
    if (ready(*s) && s->tokens_left() == 1 && s->answers()) decodes.push_back(s.get());
  const std::size_t most =
      std::min<std::size_t>(budget, std::max(1u, settings_.batch_sequences_max));
  const bool in_turn = decodes.size() > most;
  std::sort(decodes.begin(), decodes.end(), [&](const sequence* a, const sequence* b) {
    if (in_turn && a->step != b->step) return a->step < b->step;
    return stands_before(*a, *b);
  });
  for (sequence* s : decodes) {
    if (to.steps.size() >= most) return;
    if (!s->running || !grow(at, *s)) continue;
    add(to, *s, 1, at.facts->description.vocabulary_size);
    s->step = steps_;
    --budget;
  }
}

// Where two would compute the same block, the second waits and takes it over. What host memory has
// is not computed, but waited for.
void inference_core::add_prompts(slot& at, batch& to, std::uint32_t budget) {
  std::vector<sequence*> prompts;
  for (const auto& s : at.running)
    if (ready(*s) && (s->tokens_left() > 1 || !s->answers())) prompts.push_back(s.get());
  const auto key = [this](const sequence& s) {
    return std::tuple(standing(s), shares_.served(s.tenant), s.seat);
  };
  std::sort(prompts.begin(), prompts.end(),
            [&](const sequence* a, const sequence* b) { return key(*a) < key(*b); });
  std::uint32_t scored_left = scored_rows_max(at.facts->description, settings_);
  std::vector<prefix_name> computing;
  for (sequence* s : prompts) {
    if (budget == 0 || to.steps.size() >= std::max(1u, settings_.batch_sequences_max)) return;
    take_found(at, *s);
    bring_back(at, *s);
    if (awaits_blocks(*s, at.kv)) continue;
    const std::uint32_t count = share_of(*s, s->score ? std::min(budget, scored_left) : budget);
    if (count == 0) continue;
    if (s->score) scored_left -= count;
    const std::size_t block = s->computed / kernels::kv_block_tokens;
    if (s->naming && s->answers() && block < s->names.size()) {
      const prefix_name name = s->names[block];
      if (std::find(computing.begin(), computing.end(), name) != computing.end()) continue;
      computing.push_back(name);
    }
    add(to, *s, count, at.facts->description.vocabulary_size);
    s->step = steps_;
    budget -= count;
  }
}

}  // namespace troupe
