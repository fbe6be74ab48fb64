// Who gets a place in a model's batch, and who has to give one up.
#include <algorithm>
#include <cassert>
#include <tuple>
#include <unordered_map>

#include "actors/inference/inference_core.hpp"
#include "actors/inference/sequence_blocks.hpp"

namespace troupe {
namespace {

// Every so many admissions the one that has waited longest comes first, whatever its standing.
constexpr std::uint64_t oldest_every = 4;

std::uint32_t places(const inference_settings& settings) {
  return settings.batching ? settings.sequences_running_max : 1;
}

// Blocks that come free when all of `yielding` have given theirs back; those that `keeping` wants
// stay in use.
std::uint32_t freed_by(std::span<sequence* const> yielding,
                       std::span<const kernels::block_id> keeping,
                       const kernels::tiered_blocks& kv) {
  std::unordered_map<kernels::block_id, std::uint32_t> held;
  for (const sequence* s : yielding)
    for (const kernels::block_id id : s->blocks) ++held[id];
  for (const kernels::block_id id : keeping) held.erase(id);
  return static_cast<std::uint32_t>(std::count_if(held.begin(), held.end(), [&](const auto& entry) {
    return entry.second == kv.users(entry.first);
  }));
}

}  // namespace

// 0 comes first. Waiting lifts a sequence, so that what comes later cannot pass it for ever.
int inference_core::standing(const sequence& s) const {
  if (settings_.ageing.count() <= 0 || clock_ <= s.arrived) return s.priority;
  const auto lifted = (clock_ - s.arrived) / std::chrono::microseconds{settings_.ageing};
  return static_cast<int>(std::max<std::int64_t>(0, s.priority - lifted));
}

// Among those that have a place: who keeps its blocks when they run out.
bool inference_core::stands_before(const sequence& a, const sequence& b) const {
  return std::tuple(standing(a), a.seat) < std::tuple(standing(b), b.seat);
}

// Those that only wait for their receiver give way to anybody after a while, others to a higher
// priority.
bool inference_core::may_yield(const sequence& held, const sequence& to) const {
  if (!ready(held)) return clock_ - held.no_credit_since >= settings_.stall_grace;
  return held.priority > to.priority && standing(held) > standing(to);
}

sequence* inference_core::pick(const slot& at) const {
  const auto key = [this](const sequence& s) {
    return std::tuple(standing(s), s.seat == 0, shares_.served(s.tenant), s.arrival);
  };
  sequence *best = nullptr, *oldest = nullptr;
  for (const auto& s : at.waiting) {
    // Who gave way while it waited for credit comes back with credit, or two would take turns.
    if (!ready(*s) || (s->seat > 0 && s->credit == 0 && s->answers())) continue;
    if (best == nullptr || key(*s) < key(*best)) best = s.get();
    if (oldest == nullptr || s->arrival < oldest->arrival) oldest = s.get();
  }
  const bool turn = (admissions_ + 1) % oldest_every == 0;
  if (best != nullptr && turn && clock_ - oldest->arrived >= 2 * settings_.ageing) return oldest;
  return best;
}

std::optional<time_point_us> inference_core::held_until(const slot& at) const {
  if (!settings_.batching || !at.running.empty()) return std::nullopt;
  time_point_us first = time_point_us::max();
  std::size_t count = 0;
  for (const auto& s : at.waiting) {
    if (s->awaits) continue;
    if (s->seat > 0) return std::nullopt;
    first = std::min(first, s->arrived);
    ++count;
  }
  if (count == 0 || count >= settings_.batch_sequences_max) return std::nullopt;
  const auto until = at.window.until(first);
  return until && *until > clock_ ? until : std::nullopt;
}

std::optional<time_point_us> inference_core::held_until() const {
  std::optional<time_point_us> first;
  for (const auto& [digest, at] : slots_)
    if (const auto until = held_until(at); until && pick(at) != nullptr)
      first = first ? std::min(*first, *until) : *until;
  return first;
}

// Nobody overtakes a sequence that was picked and waits for memory, so none waits for ever. Beside
// the blocks for its tokens, one for each that runs has to be there: who is let in must not be
// thrown out at once.
std::optional<inference_core::admission> inference_core::next_admission(const slot& at) const {
  if (!at.facts || at.waiting.empty() || held_until(at)) return std::nullopt;
  admission chosen{pick(at), {}};
  if (chosen.next == nullptr) return std::nullopt;
  const std::vector<kernels::block_id> known = find_known_blocks(*chosen.next, at.kv);
  const auto reusable =
      std::count_if(known.begin(), known.end(), [&](auto id) { return at.kv.users(id) == 0; });
  const std::uint64_t needed = kernels::blocks_for(chosen.next->tokens.size()) - known.size() +
                               static_cast<std::uint64_t>(reusable);
  const auto fits = [&] {
    const std::size_t left = at.running.size() - chosen.victims.size();
    if (left >= places(settings_)) return false;
    const std::uint64_t margin = left;
    if (needed + margin <= at.kv.available()) return true;
    return !chosen.victims.empty() &&
           needed + margin <= at.kv.available() + freed_by(chosen.victims, known, at.kv);
  };
  if (fits()) return chosen;
  std::vector<sequence*> yielding;
  for (const auto& s : at.running)
    if (may_yield(*s, *chosen.next)) yielding.push_back(s.get());
  std::sort(yielding.begin(), yielding.end(), [this](const sequence* a, const sequence* b) {
    return ready(*a) != ready(*b) ? !ready(*a) : stands_before(*b, *a);
  });
  for (sequence* s : yielding) {
    chosen.victims.push_back(s);
    if (fits()) return chosen;
  }
  return std::nullopt;
}

void inference_core::admit(slot& at) {
  while (const auto chosen = next_admission(at)) {
    for (sequence* s : chosen->victims) preempt(at, *s);
    give_place(at, *chosen->next);
  }
}

void inference_core::give_place(slot& at, sequence& s) {
  const bool first = s.seat == 0;
  if (first) {
    s.seat = ++admissions_;
    s.admitted = clock_;
    if (s.answers()) at.counted.prefix_tokens_asked += s.prompt_size;
  }
  take_found(at, s);
  [[maybe_unused]] const bool taken = at.kv.extend(s.blocks, s.tokens.size());
  assert(taken);
  bring_back(at, s);
  if (first) shares_.charge(s.tenant, s.tokens_left());
  s.running = true;
  const auto place = std::find_if(at.waiting.begin(), at.waiting.end(),
                                  [&](const auto& other) { return other.get() == &s; });
  at.running.splice(at.running.end(), at.waiting, place);
  --counters_.waiting;
  ++counters_.running;
}

void inference_core::preempt(slot& at, sequence& s) {
  release_blocks(s, at.kv);
  s.running = false;
  const auto place = std::find_if(at.running.begin(), at.running.end(),
                                  [&](const auto& other) { return other.get() == &s; });
  at.waiting.splice(at.waiting.begin(), at.running, place);
  --counters_.running;
  ++counters_.waiting;
  ++at.counted.preemptions;
}

void inference_core::take_found(slot& at, sequence& s) {
  const std::uint32_t found = take_known_blocks(s, at.kv);
  s.prefix_tokens += found;
  at.counted.prefix_tokens_hit += found;
}

void inference_core::bring_back(slot& at, sequence& s) {
  const std::uint32_t found = bring_back_blocks(s, at.kv);
  s.prefix_tokens += found;
  at.counted.prefix_tokens_hit += found;
  at.counted.prefix_tokens_restored += found;
}

}  // namespace troupe
