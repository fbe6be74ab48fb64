// The rules of a constraint, linked into one table that a matcher runs on. Immutable after link().
//
// A rule is an automaton for one kind of value. A call whose target accepts and goes nowhere else
// is a last call: nothing is kept on the stack for it, so the stack's height is the number of
// containers around a value. needs(state) is the height still needed to complete the rule from
// there, its own container counted; where a step would need more than is left, it is not taken. So
// a state that was reached can always be completed: there are no dead ends.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/constraint/automaton.hpp"

namespace troupe::kernels::constraint {

class rule_table {
 public:
  using height = std::uint16_t;
  static constexpr height never = 0xFFFF;

  struct linked_call {
    state_id begin = 0;  // where the called rule begins
    state_id target = 0;
    rule_id rule = 0;
    std::uint32_t bounds = 0;  // number of its length_bounds
    bool last = false;
  };
  struct linked {
    std::uint32_t first_call = 0;
    height needs = never;
    bool accepts = false;
    bool ends = false;   // accepts, and takes no byte and no call
    bool plain = false;  // takes bytes only
  };

  // In every table rule 0 is any_text(), so its states have the same numbers everywhere.
  static constexpr rule_id text_rule = 0;

  // Takes automata by rule_id. Edges and calls that can never be completed are left out; a rule of
  // which nothing is left has needs_of(rule) == never.
  static rule_table link(std::span<const automaton> rules, rule_id root, height height_max);

  std::size_t states() const { return states_.size() - 1; }
  state_id begin() const { return begins_[root_]; }
  bool is_text(state_id state) const { return begins_.size() > 1 && state < begins_[1]; }
  std::size_t bytes() const {
    return edges_.size() * sizeof(edge) + states_.size() * sizeof(linked);
  }
  height height_max() const { return height_max_; }
  height needs_of(rule_id rule) const { return states_[begins_[rule]].needs; }

  const linked& at(state_id state) const { return states_[state]; }
  edge step(state_id state, unsigned char byte) const {
    return edges_[std::size_t{state} * classes_ + class_of_[byte]];
  }
  std::span<const linked_call> calls_of(state_id state) const {
    return std::span(calls_).subspan(states_[state].first_call,
                                     states_[state + 1].first_call - states_[state].first_call);
  }
  const length_bounds& bounds(std::uint32_t number) const { return bounds_[number]; }
  bool may_begin(rule_id rule, unsigned char byte) const { return first_bytes_[rule][byte]; }

 private:
  void number_states(std::span<const automaton> rules);
  void find_needs(std::span<const automaton> rules);
  void write_edges(std::span<const automaton> rules);
  void write_calls(std::span<const automaton> rules);
  void find_first_bytes();
  height cost(const rule_call& call, state_id target) const;

  rule_id root_ = 0;
  height height_max_ = 0;
  std::vector<state_id> begins_;  // by rule
  std::vector<linked> states_;    // and one more, where the calls end
  std::vector<linked_call> calls_;
  std::vector<length_bounds> bounds_;
  std::vector<std::bitset<256>> first_bytes_;  // by rule
  std::array<std::uint8_t, 256> class_of_{};   // bytes that no state tells apart
  std::size_t classes_ = 0;
  std::vector<edge> edges_;  // [state][class]
};

}  // namespace troupe::kernels::constraint
