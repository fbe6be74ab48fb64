#include "kernels/constraint/automaton.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace troupe::kernels::constraint {
namespace {

constexpr int break_spaces_max = 20;
constexpr int break_tabs_max = 5;
constexpr std::size_t subset_steps_max = std::size_t{1} << 23;  // of work and of memory

}  // namespace

error too_many_states(std::size_t states_max) {
  return {error_code::invalid_argument,
          "needs more than the " + std::to_string(states_max) + " states that are left",
          "make the schema smaller: fewer values and members, shorter repeats in patterns"};
}

state_id automaton::add_state(bool accepting) {
  rows.emplace_back().fill(0);
  accepts.push_back(accepting);
  calls.emplace_back();
  return static_cast<state_id>(rows.size() - 1);
}

state_id automaton_draft::add_state() {
  if (!too_large()) states_.emplace_back();  // past the bound nothing is built any more
  return static_cast<state_id>(states_.size() - 1);
}

void automaton_draft::add_bytes(state_id from, unsigned low, unsigned high, state_id to,
                                edge marks) {
  states_[from].bytes.push_back(
      {static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high), to, marks});
}

void automaton_draft::add_byte(state_id from, char byte, state_id to, edge marks) {
  const auto value = static_cast<unsigned char>(byte);
  add_bytes(from, value, value, to, marks);
}

void automaton_draft::add_text(state_id from, std::string_view bytes, state_id to) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const state_id next = i + 1 == bytes.size() ? to : add_state();
    add_byte(from, bytes[i], next);
    from = next;
  }
}

void automaton_draft::add_empty(state_id from, state_id to) {
  states_[from].empties.push_back(to);
}

void automaton_draft::add_call(state_id from, value_call value, state_id to) {
  states_[from].calls.push_back({value, to});
}

void automaton_draft::add_part(state_id from, const automaton& part, state_id to) {
  std::vector<state_id> numbers;
  for (std::size_t i = 0; i < part.size() && !too_large(); ++i) numbers.push_back(add_state());
  if (too_large()) return;
  add_empty(from, numbers[0]);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto& row = part.rows[i];
    if (part.accepts[i]) add_empty(numbers[i], to);
    for (unsigned low = 0; low < 256;) {
      unsigned high = low;
      while (high < 255 && row[high + 1] == row[low]) ++high;
      if (row[low])
        add_bytes(numbers[i], low, high, numbers[target_of(row[low])], row[low] & edge_marks);
      low = high + 1;
    }
  }
}

void automaton_draft::add_blanks(state_id from, state_id to) {
  add_empty(from, to);
  add_byte(from, ' ', to);
  add_break(from, to, 0);
}

void automaton_draft::add_blanks_and(state_id from, char then, state_id to, edge marks) {
  const state_id before = add_state();
  add_byte(before, then, to);
  add_byte(from, then, to, marks);
  add_byte(from, ' ', before, marks);
  add_break(from, before, marks);
}

void automaton_draft::add_break(state_id from, state_id to, edge marks) {
  state_id last = add_state();
  add_byte(from, '\n', last, marks);
  const state_id broken = last;
  add_empty(last, to);
  for (const auto& [blank, most] : {std::pair(' ', break_spaces_max), {'\t', break_tabs_max}}) {
    last = broken;
    for (int i = 0; i < most; ++i) {
      const state_id next = add_state();
      add_byte(last, blank, next);
      add_empty(next, to);
      last = next;
    }
  }
}

// Subsets of a draft's states become the states of the automaton.
class subset_builder {
 public:
  subset_builder(const automaton_draft& draft, std::size_t states_max)
      : draft_(draft), states_max_(states_max), seen_(draft.states_.size(), 0) {}

  result<automaton> build() {
    if (draft_.too_large()) return too_many_states(states_max_);
    number_of({0});
    for (state_id state = 0; state < subsets_.size(); ++state) {
      if (subsets_.size() > states_max_ || steps_ > subset_steps_max)
        return too_many_states(states_max_);
      add_edges(state);
      add_calls(state);
    }
    out_.steps = steps_;
    return std::move(out_);
  }

 private:
  using subset = std::vector<state_id>;

  state_id number_of(subset members) {
    close(members);
    const auto [at, fresh] = numbers_.try_emplace(members, static_cast<state_id>(subsets_.size()));
    if (fresh) {
      out_.add_state(std::any_of(members.begin(), members.end(),
                                 [this](state_id s) { return draft_.states_[s].accepts; }));
      subsets_.push_back(std::move(members));
    }
    return at->second;
  }

  void close(subset& members) {
    ++stamp_;
    subset out;
    const auto visit = [&](state_id s) {
      if (seen_[s] == stamp_) return;
      seen_[s] = stamp_;
      out.push_back(s);
    };
    for (const state_id s : members) visit(s);
    for (std::size_t i = 0; i < out.size(); ++i)
      for (const state_id s : draft_.states_[out[i]].empties) visit(s);
    std::sort(out.begin(), out.end());
    members = std::move(out);
    steps_ += members.size();
  }

  // Between two borders every byte has the same edges.
  void add_edges(state_id state) {
    std::array<bool, 257> border{};
    const subset members = subsets_[state];
    for (const state_id s : members)
      for (const auto& e : draft_.states_[s].bytes) border[e.low] = border[e.high + 1u] = true;
    border[0] = true;
    for (unsigned low = 0; low < 256;) {
      unsigned end = low + 1;
      while (end < 256 && !border[end]) ++end;
      subset targets;
      edge marks = 0;
      for (const state_id s : members)
        for (const auto& e : draft_.states_[s].bytes) {
          ++steps_;
          if (e.low <= low && low <= e.high) targets.push_back(e.to), marks |= e.marks;
        }
      if (!targets.empty()) {
        const edge to = edge_to(number_of(std::move(targets)), marks);
        std::fill(out_.rows[state].begin() + low, out_.rows[state].begin() + end, to);
      }
      low = end;
    }
  }

  void add_calls(state_id state) {
    const subset members = subsets_[state];
    for (const state_id s : members)
      for (const rule_call& call : draft_.states_[s].calls) {
        const rule_call numbered{call.value, number_of({call.target})};
        auto& calls = out_.calls[state];
        if (std::find(calls.begin(), calls.end(), numbered) == calls.end())
          calls.push_back(numbered);
      }
  }

  const automaton_draft& draft_;
  std::size_t states_max_;
  automaton out_;
  std::map<subset, state_id> numbers_;
  std::vector<subset> subsets_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
  std::size_t steps_ = 0;
};

result<automaton> determinize(const automaton_draft& draft, std::size_t states_max) {
  return subset_builder(draft, states_max).build();
}

result<automaton> intersect(const automaton& a, const automaton& b, std::size_t states_max) {
  using key = std::pair<state_id, state_id>;
  const auto next = [&](const key& k, unsigned char byte) -> std::optional<key> {
    const edge x = a.rows[k.first][byte], y = b.rows[k.second][byte];
    if (!x || !y) return std::nullopt;
    return key{target_of(x), target_of(y)};
  };
  const auto accepts = [&](const key& k) { return a.accepts[k.first] && b.accepts[k.second]; };
  result<automaton> both = explore(key{0, 0}, next, accepts, states_max);
  if (both) both->steps += a.steps + b.steps;
  return both;
}

}  // namespace troupe::kernels::constraint
