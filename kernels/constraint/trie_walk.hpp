// Walks a token trie and the rules together: a branch whose first byte is refused is not entered.
#pragma once

#include <span>
#include <vector>

#include "kernels/constraint/stack_graph.hpp"
#include "kernels/constraint/token_trie.hpp"

namespace troupe::kernels::constraint {

inline void set_bits(std::span<std::uint64_t> mask, std::span<const token_id> tokens) {
  for (const token_id id : tokens)
    mask[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
}

class trie_walk {
 public:
  trie_walk(const rule_table& rules, const token_trie& trie, stack_graph graph)
      : rules_(rules), trie_(trie), stepper_(rules), graph_(std::move(graph)) {}

  stack_graph& graph() { return graph_; }
  const stepper& steps() const { return stepper_; }

  // From `heads` at `node`, calls enter(descendant, heads there, depth below `node`) for each
  // descendant that can be reached. With `events`, what its byte did at the bottom is in there: it
  // is called then also where no heads are left.
  template <class Enter>
  void below(std::uint32_t node, std::span<const head> heads, const Enter& enter,
             bottom_events* events = nullptr) {
    const std::uint32_t base = trie_.depth(node), end = trie_.after(node);
    if (levels_.empty()) levels_.resize(token_trie::token_bytes_max + 1);
    levels_[0].heads.assign(heads.begin(), heads.end());
    levels_[0].top = graph_.top();
    for (std::uint32_t at = node + 1; at < end;) {
      const std::uint32_t depth = trie_.depth(at) - base;
      level& before = levels_[depth - 1];
      level& here = levels_[depth];
      if (events) events->exits.clear(), events->ticked = false;
      if (!step_simply(before, trie_.byte(at), here, events)) {
        graph_.cut(before.top);
        stepper_.step(graph_, before.heads, trie_.byte(at), here.heads, events);
        here.top = graph_.top();
      }
      if (!here.heads.empty() || (events && !events->exits.empty()))
        enter(at, std::span<const head>(here.heads), depth);
      at = here.heads.empty() ? trie_.after(at) : at + 1;
    }
    graph_.cut(levels_[0].top);
  }

 private:
  struct level {
    std::vector<head> heads;
    stack_graph::mark top;
  };
  // Nearly every step of a large walk is one head on an edge that asks for nothing (no more height
  // than is granted): the same as stepper_.step() does there, without its bookkeeping. False: not
  // such a step, nothing is done.
  bool step_simply(const level& before, unsigned char byte, level& here, bottom_events* events) {
    if (before.heads.size() != 1) return false;
    const head& from = before.heads.front();
    if (!rules_.at(from.state).plain) return false;
    const edge e = rules_.step(from.state, byte);
    if (e == 0) return here.heads.clear(), true;
    const edge handled = events && from.frame == 0 ? edge_ticks : 0;
    if ((e & edge_marks & ~handled) != 0) return false;
    const rule_table::linked& target = rules_.at(target_of(e));
    if (target.ends || target.needs > rules_.at(from.state).needs) return false;
    if (e & edge_ticks) events->ticked = true;
    here.heads.assign(1, from);
    here.heads.front().state = target_of(e);
    here.top = before.top;
    return true;
  }

  const rule_table& rules_;
  const token_trie& trie_;
  stepper stepper_;
  stack_graph graph_;
  std::vector<level> levels_;
};

}  // namespace troupe::kernels::constraint
