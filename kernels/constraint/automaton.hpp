// Automata over bytes that may call rules: an edge takes a byte, a call hands over to the rule of
// another value and goes on when that one is complete. A draft may have empty steps and several
// edges for a byte; determinize() leaves one edge for each byte. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::kernels::constraint {

using state_id = std::uint32_t;
using rule_id = std::uint32_t;

// How often a call may pass the edges that tick: a text's characters, an array's commas.
struct length_bounds {
  static constexpr std::uint32_t none = 0xFFFFFFFF;
  std::uint32_t least = 0;
  std::uint32_t most = none;
  bool operator==(const length_bounds&) const = default;
};

struct value_call {
  rule_id rule = 0;
  length_bounds bounds = {};
  bool operator==(const value_call&) const = default;
};

// An edge in one word: 0 is none, else target + 1 and two marks.
using edge = std::uint32_t;
inline constexpr edge edge_ticks = 1u << 31;   // counts one; not past bounds.most
inline constexpr edge edge_closes = 1u << 30;  // only when bounds.least is reached
inline constexpr edge edge_marks = edge_ticks | edge_closes;
constexpr edge edge_to(state_id target, edge marks = 0) {
  return (target + 1) | marks;
}
constexpr state_id target_of(edge e) {
  return (e & ~edge_marks) - 1;
}

struct rule_call {
  value_call value;
  state_id target = 0;
  bool operator==(const rule_call&) const = default;
};

// Deterministic in bytes; state 0 begins.
struct automaton {
  std::vector<std::array<edge, 256>> rows;
  std::vector<bool> accepts;
  std::vector<std::vector<rule_call>> calls;
  std::size_t steps = 0;      // of the work to make it, for bounds
  bool is_container = false;  // of arrays or objects, which count as open until complete

  std::size_t size() const { return rows.size(); }
  state_id add_state(bool accepting = false);
};

class automaton_draft {
 public:
  explicit automaton_draft(std::size_t states_max) : states_max_(states_max) { add_state(); }

  state_id add_state();
  void add_bytes(state_id from, unsigned low, unsigned high, state_id to, edge marks = 0);
  void add_byte(state_id from, char byte, state_id to, edge marks = 0);
  void add_text(state_id from, std::string_view bytes, state_id to);
  void add_empty(state_id from, state_id to);
  void add_call(state_id from, value_call value, state_id to);
  // Part without calls, between two states.
  void add_part(state_id from, const automaton& part, state_id to);
  // Blanks between the parts of a container: nothing, one space, or a line break with spaces or
  // tabs. Bounded, so that nobody can write blanks for ever.
  void add_blanks(state_id from, state_id to);
  // Blanks and then a byte; `marks` stand on every edge that leaves `from`.
  void add_blanks_and(state_id from, char then, state_id to, edge marks = 0);
  void accept(state_id state) { states_[state].accepts = true; }

  bool too_large() const { return states_.size() > states_max_; }

 private:
  struct byte_edge {
    std::uint8_t low, high;
    state_id to;
    edge marks;
  };
  struct state {
    std::vector<byte_edge> bytes;
    std::vector<state_id> empties;
    std::vector<rule_call> calls;
    bool accepts = false;
  };
  void add_break(state_id from, state_id to, edge marks);

  std::vector<state> states_;
  std::size_t states_max_;

  friend class subset_builder;
};

// All of these refuse (invalid_argument) a result of more than states_max states.
error too_many_states(std::size_t states_max);
result<automaton> determinize(const automaton_draft& draft, std::size_t states_max);
// What both take; neither has calls or marks.
result<automaton> intersect(const automaton& a, const automaton& b, std::size_t states_max);

inline constexpr std::size_t explore_steps = 1024;  // for a state

// The automaton of a step function: `next` gives the key that follows, or nothing.
template <class Key, class Next, class Accepts>
result<automaton> explore(const Key& start, const Next& next, const Accepts& accepts,
                          std::size_t states_max) {
  automaton out;
  std::map<Key, state_id> numbers;
  std::vector<Key> keys;
  const auto number_of = [&](const Key& key) {
    const auto [at, fresh] = numbers.try_emplace(key, static_cast<state_id>(keys.size()));
    if (fresh) {
      keys.push_back(key);
      out.add_state(accepts(key));
    }
    return at->second;
  };
  number_of(start);
  for (state_id state = 0; state < keys.size(); ++state) {
    if (keys.size() > states_max) return too_many_states(states_max);
    for (unsigned byte = 0; byte < 256; ++byte)
      if (const auto key = next(Key(keys[state]), static_cast<unsigned char>(byte))) {
        const state_id target = number_of(*key);
        out.rows[state][byte] = edge_to(target);
      }
  }
  out.steps = keys.size() * explore_steps;
  return out;
}

}  // namespace troupe::kernels::constraint
