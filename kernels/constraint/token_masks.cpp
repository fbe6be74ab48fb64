#include "kernels/constraint/token_masks.hpp"

#include <algorithm>
#include <utility>

#include "kernels/constraint/trie_walk.hpp"

namespace troupe::kernels {

using constraint::head;
using constraint::rule_table;
using constraint::set_bits;
using constraint::stack_graph;

namespace {

bool finish(const json_matcher& at, const token_trie& trie, std::span<std::uint64_t> out) {
  if (at.can_end()) set_bits(out, trie.ends());
  return std::any_of(out.begin(), out.end(), [](std::uint64_t word) { return word != 0; });
}

void add_all_below(constraint::trie_walk& walk, const token_trie& trie, std::uint32_t node,
                   std::span<const head> heads, std::span<std::uint64_t> out) {
  walk.below(node, heads, [&](std::uint32_t at, std::span<const head>, std::uint32_t) {
    set_bits(out, trie.tokens(at));
  });
}

}  // namespace

bool allowed_tokens(const json_matcher& at, const token_trie& trie, std::span<std::uint64_t> out) {
  std::fill(out.begin(), out.end(), 0);
  constraint::trie_walk walk(at.rules()->rules(), trie, at.graph());
  add_all_below(walk, trie, 0, at.heads(), out);
  return finish(at, trie, out);
}

token_masks::token_masks(std::shared_ptr<const token_trie> trie, std::size_t bytes_max)
    : trie_(std::move(trie)), bytes_max_(bytes_max), part_(trie_->mask_words()) {}

std::size_t token_masks::state_mask::bytes() const {
  return sizeof(*this) + allowed.size() * sizeof(allowed[0]) + timed.size() * sizeof(timed_token) +
         leavings.size() * sizeof(leaving);
}

// Walks the whole trie from one state with its callers unknown: what needs them is noted.
token_masks::state_mask token_masks::build(const rule_table& rules, constraint::state_id state,
                                           std::uint32_t height) const {
  state_mask out;
  out.allowed.assign(trie_->mask_words(), 0);
  constraint::trie_walk walk(rules, *trie_, stack_graph(height));
  constraint::bottom_events events;
  std::vector<std::uint32_t> ticks(token_trie::token_bytes_max + 1, 0);
  const auto note_left = [&](std::uint32_t node, std::span<const head> heads, std::uint32_t count) {
    if (trie_->after(node) == node + 1) return;
    for (const head& h : heads)
      if (h.frame == 0 && rules.at(h.state).accepts)
        out.leavings.push_back({node, count, h.state, true, false, true});
  };
  const head begin{state, 0, 0, 0};
  note_left(0, {&begin, 1}, 0);
  walk.below(
      0, {&begin, 1},
      [&](std::uint32_t node, std::span<const head> heads, std::uint32_t depth) {
        const std::uint32_t count = ticks[depth] = ticks[depth - 1] + (events.ticked ? 1 : 0);
        for (const auto& exit : events.exits)
          out.leavings.push_back({node, count, exit.state, exit.leaves, exit.closes, false});
        if (heads.empty()) return;
        const auto tokens = trie_->tokens(node);
        set_bits(out.allowed, tokens);
        if (count > 0)
          for (const token_id id : tokens) out.timed.push_back({count, id});
        note_left(node, heads, count);
      },
      &events);
  std::stable_sort(out.timed.begin(), out.timed.end(),
                   [](const timed_token& a, const timed_token& b) { return a.ticks > b.ticks; });
  out.complete = !events.height_short;
  out.height_wanted = std::max(events.height_wanted, height) - height;
  return out;
}

const token_masks::state_mask& token_masks::find(const json_matcher& at, constraint::state_id state,
                                                 std::uint32_t height) {
  const rule_table& rules = at.rules()->rules();
  const auto key = rules.is_text(state) ? nullptr : at.rules();
  const auto of_rules = known_.find(key);
  if (of_rules != known_.end()) {
    const auto known = of_rules->second.find(state);
    if (known != of_rules->second.end()) {
      if (height + known->second.height_wanted <= rules.height_max()) return known->second;
      return passing_ = build(rules, state, height);
    }
  }
  state_mask fresh = build(rules, state, height);
  const bool first = of_rules == known_.end();
  const std::size_t bytes = fresh.bytes() + (first && key ? rules.bytes() : 0);
  if (!fresh.complete || bytes > bytes_max_) return passing_ = std::move(fresh);
  if (bytes_used_ + bytes > bytes_max_) {
    known_.clear();
    bytes_used_ = first || !key ? 0 : rules.bytes();
  }
  bytes_used_ += bytes;
  return known_[key].emplace(state, std::move(fresh)).first->second;
}

void token_masks::add_head(const json_matcher& at, const head& from, std::span<std::uint64_t> out) {
  const rule_table& rules = at.rules()->rules();
  const constraint::length_bounds bounds = rules.bounds(from.bounds);
  const state_mask& mask = find(at, from.state, at.graph().height(from.frame));
  const bool unbounded = bounds.most == constraint::length_bounds::none;
  const std::uint32_t left = unbounded ? bounds.most : bounds.most - from.count;
  part_ = mask.allowed;
  for (const timed_token& token : mask.timed) {
    if (token.ticks <= left) break;
    part_[static_cast<std::size_t>(token.id) / 64] &= ~(std::uint64_t{1} << (token.id % 64));
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] |= part_[i];

  constraint::trie_walk walk(rules, *trie_, at.graph());
  std::vector<head> callers;
  walk.steps().returns(at.graph(), from.frame, callers);
  for (const leaving& exit : mask.leavings) {
    if (exit.ticks > left) continue;
    if (exit.closes && from.count + exit.ticks < bounds.least) continue;
    if (!exit.before) set_bits(out, trie_->tokens(exit.node));
    if (trie_->after(exit.node) == exit.node + 1) continue;
    const head goes_on{exit.state, from.count + exit.ticks, from.bounds, from.frame};
    add_all_below(walk, *trie_, exit.node,
                  exit.leaves ? std::span<const head>(callers) : std::span(&goes_on, 1), out);
  }
}

bool token_masks::allowed_tokens(const json_matcher& at, std::span<std::uint64_t> out) {
  const rule_table& rules = at.rules()->rules();
  std::fill(out.begin(), out.end(), 0);
  const bool at_root = std::any_of(at.heads().begin(), at.heads().end(),
                                   [&](const head& h) { return h.state >= rules.begin(); });
  if (at_root) return kernels::allowed_tokens(at, *trie_, out);
  for (const head& h : at.heads()) add_head(at, h, out);
  return finish(at, *trie_, out);
}

}  // namespace troupe::kernels
