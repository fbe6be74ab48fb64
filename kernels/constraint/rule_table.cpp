#include "kernels/constraint/rule_table.hpp"

#include <algorithm>
#include <map>

namespace troupe::kernels::constraint {

rule_table rule_table::link(std::span<const automaton> rules, rule_id root, height height_max) {
  rule_table out;
  out.root_ = root;
  out.height_max_ = height_max;
  out.number_states(rules);
  out.find_needs(rules);
  out.write_edges(rules);
  out.write_calls(rules);
  out.find_first_bytes();
  return out;
}

void rule_table::number_states(std::span<const automaton> rules) {
  for (const automaton& rule : rules) {
    begins_.push_back(static_cast<state_id>(states_.size()));
    for (std::size_t i = 0; i < rule.size(); ++i) {
      linked& state = states_.emplace_back();
      state.accepts = rule.accepts[i];
      const bool takes_bytes =
          std::any_of(rule.rows[i].begin(), rule.rows[i].end(), [](edge e) { return e != 0; });
      state.ends = state.accepts && !takes_bytes && rule.calls[i].empty();
    }
  }
  states_.emplace_back();
}

// The height that a call adds to what its rule needs: none for a last call.
rule_table::height rule_table::cost(const rule_call& call, state_id target) const {
  const height inner = states_[begins_[call.value.rule]].needs;
  const height after = states_[target].needs;
  if (inner == never || after == never) return never;
  const int whole = std::max<int>(inner + (states_[target].ends ? 0 : 1), after);
  return whole > height_max_ ? never : static_cast<height>(whole);
}

// The least solution, by sweeps: heights only fall. Targets mostly have higher numbers, so a sweep
// from the end settles nearly all of them.
void rule_table::find_needs(std::span<const automaton> rules) {
  std::vector<std::vector<state_id>> targets(states());
  for (rule_id r = 0; r < rules.size(); ++r)
    for (std::size_t i = 0; i < rules[r].size(); ++i) {
      std::vector<state_id>& to = targets[begins_[r] + i];
      for (const edge e : rules[r].rows[i])
        if (e) to.push_back(begins_[r] + target_of(e));
      std::sort(to.begin(), to.end());
      to.erase(std::unique(to.begin(), to.end()), to.end());
    }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t r = rules.size(); r-- > 0;)
      for (std::size_t i = rules[r].size(); i-- > 0;) {
        linked& state = states_[begins_[r] + i];
        height least = state.accepts ? height{rules[r].is_container} : state.needs;
        for (const state_id to : targets[begins_[r] + i])
          least = std::min(least, states_[to].needs);
        for (const rule_call& call : rules[r].calls[i])
          least = std::min(least, cost(call, begins_[r] + call.target));
        if (least < state.needs) state.needs = least, changed = true;
      }
  }
}

void rule_table::write_edges(std::span<const automaton> rules) {
  // Two bytes are of one class where every state's row has equal entries for them.
  std::array<unsigned, 256> group{}, member{};  // member[g]: some byte of group g
  unsigned groups = 1;
  for (const automaton& rule : rules)
    for (const auto& row : rule.rows) {
      unsigned told = 0;
      while (told < 256 && row[told] == row[member[group[told]]]) ++told;
      if (told == 256) continue;
      std::map<std::pair<unsigned, edge>, unsigned> split;
      for (unsigned byte = 0; byte < 256; ++byte)
        split.try_emplace({group[byte], row[byte]}, static_cast<unsigned>(split.size()));
      for (unsigned byte = 256; byte-- > 0;) {
        group[byte] = split.at({group[byte], row[byte]});
        member[group[byte]] = byte;
      }
      groups = static_cast<unsigned>(split.size());
    }
  classes_ = groups;
  for (unsigned byte = 0; byte < 256; ++byte)
    class_of_[byte] = static_cast<std::uint8_t>(group[byte]);
  edges_.assign(states() * classes_, 0);
  for (rule_id r = 0; r < rules.size(); ++r)
    for (std::size_t i = 0; i < rules[r].size(); ++i)
      for (unsigned byte = 0; byte < 256; ++byte) {
        const edge e = rules[r].rows[i][byte];
        if (!e) continue;
        const state_id target = begins_[r] + target_of(e);
        if (states_[target].needs == never) continue;
        edges_[(begins_[r] + i) * classes_ + group[byte]] = edge_to(target, e & edge_marks);
      }
}

void rule_table::write_calls(std::span<const automaton> rules) {
  for (rule_id r = 0; r < rules.size(); ++r)
    for (std::size_t i = 0; i < rules[r].size(); ++i) {
      linked& state = states_[begins_[r] + i];
      state.first_call = static_cast<std::uint32_t>(calls_.size());
      for (const rule_call& call : rules[r].calls[i]) {
        const state_id target = begins_[r] + call.target;
        if (cost(call, target) == never) continue;
        auto known = std::find(bounds_.begin(), bounds_.end(), call.value.bounds);
        if (known == bounds_.end()) known = bounds_.insert(known, call.value.bounds);
        calls_.push_back({begins_[call.value.rule], target, call.value.rule,
                          static_cast<std::uint32_t>(known - bounds_.begin()),
                          states_[target].ends});
      }
      const auto row = edges_.begin() + static_cast<std::ptrdiff_t>((begins_[r] + i) * classes_);
      state.ends = state.accepts && calls_.size() == state.first_call &&
                   std::all_of(row, row + static_cast<std::ptrdiff_t>(classes_),
                               [](edge e) { return e == 0; });
      state.plain = !state.accepts && calls_.size() == state.first_call;
    }
  states_.back().first_call = static_cast<std::uint32_t>(calls_.size());
  if (bounds_.empty()) bounds_.emplace_back();
}

// A rule's first byte may be one of a rule that it calls at its beginning: again by sweeps.
void rule_table::find_first_bytes() {
  first_bytes_.resize(begins_.size());
  for (std::size_t r = 0; r < begins_.size(); ++r)
    for (unsigned byte = 0; byte < 256; ++byte)
      if (step(begins_[r], static_cast<unsigned char>(byte))) first_bytes_[r].set(byte);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t r = begins_.size(); r-- > 0;) {
      const std::bitset<256> before = first_bytes_[r];
      for (const linked_call& call : calls_of(begins_[r]))
        first_bytes_[r] |= first_bytes_[call.rule];
      changed = changed || before != first_bytes_[r];
    }
  }
}

}  // namespace troupe::kernels::constraint
