#include "kernels/constraint/text_automaton.hpp"

#include <cassert>
#include <map>
#include <optional>
#include <utility>

#include "kernels/constraint/json_text.hpp"
#include "kernels/constraint/pattern.hpp"

namespace troupe::kernels::constraint {
namespace {

constexpr std::size_t fixed_states_max = 256;

void add_hex(automaton_draft& draft, state_id from, state_id to) {
  draft.add_bytes(from, '0', '9', to);
  draft.add_bytes(from, 'a', 'f', to);
  draft.add_bytes(from, 'A', 'F', to);
}

void add_either(automaton_draft& draft, state_id from, std::string_view bytes, state_id to) {
  for (const char byte : bytes) draft.add_byte(from, byte, to);
}

// \uXXXX after its "\u": a scalar value, or a high surrogate and the low one after it.
void add_code_unit(automaton_draft& draft, state_id from, state_id to) {
  state_id rest[4] = {to};  // rest[n]: n digits of any value are still to come
  for (int n = 1; n < 4; ++n) {
    rest[n] = draft.add_state();
    add_hex(draft, rest[n], rest[n - 1]);
  }
  draft.add_bytes(from, '0', '9', rest[3]);
  add_either(draft, from, "abcefABCEF", rest[3]);
  const state_id d = draft.add_state();
  add_either(draft, from, "dD", d);
  draft.add_bytes(d, '0', '7', rest[2]);

  const state_id high = draft.add_state(), high_end = draft.add_state();
  add_either(draft, d, "89abAB", high);
  const state_id high_middle = draft.add_state();
  add_hex(draft, high, high_middle);
  add_hex(draft, high_middle, high_end);
  const state_id low = draft.add_state(), low_d = draft.add_state();
  draft.add_text(high_end, "\\u", low);
  add_either(draft, low, "dD", low_d);
  add_either(draft, low_d, "cdefCDEF", rest[2]);
}

automaton fixed(const automaton_draft& draft) {
  result<automaton> out = determinize(draft, fixed_states_max);
  assert(out);
  return std::move(*out);
}

// Characters as they are, and escapes of two bytes.
state_id add_short_characters(automaton_draft& draft, state_id body, std::string_view letters,
                              edge marks) {
  add_utf8(draft, body, 0x20, 0x21, body, marks);
  add_utf8(draft, body, 0x23, 0x5B, body, marks);
  add_utf8(draft, body, 0x5D, 0x10FFFF, body, marks);
  const state_id escape = draft.add_state();
  draft.add_byte(body, '\\', escape, marks);
  add_either(draft, escape, letters, body);
  return escape;
}

}  // namespace

automaton any_text() {
  automaton_draft draft(fixed_states_max);
  const state_id body = draft.add_state(), end = draft.add_state(), unit = draft.add_state();
  draft.add_byte(0, '"', body);
  const state_id escape = add_short_characters(draft, body, "\"\\/bfnrt", edge_ticks);
  draft.add_byte(escape, 'u', unit);
  add_code_unit(draft, unit, body);
  draft.add_byte(body, '"', end, edge_closes);
  draft.accept(end);
  return fixed(draft);
}

result<automaton> any_name_but(std::span<const std::string> names, std::size_t states_max) {
  if (names.empty()) {
    automaton texts = any_text();
    for (auto& row : texts.rows)
      for (edge& e : row) e &= ~edge_marks;
    return texts;
  }
  automaton_draft draft(fixed_states_max);
  const state_id body = draft.add_state(), end = draft.add_state();
  draft.add_byte(0, '"', body);
  add_short_characters(draft, body, "\"\\bfnrt", 0);
  draft.add_byte(body, '"', end);
  draft.accept(end);
  const automaton texts = fixed(draft);

  // A tree of the written names; `off` once a text has left them all.
  constexpr state_id off = 0xFFFFFFFF;
  std::map<std::pair<state_id, unsigned char>, state_id> tree;
  std::vector<bool> ends = {false};
  for (const std::string& name : names) {
    state_id at = 0;
    for (const char byte : write_json_text(name)) {
      const auto [next, fresh] = tree.try_emplace({at, static_cast<unsigned char>(byte)},
                                                  static_cast<state_id>(ends.size()));
      if (fresh) ends.push_back(false);
      at = next->second;
    }
    ends[at] = true;
  }
  using key = std::pair<state_id, state_id>;
  const auto next = [&](const key& k, unsigned char byte) -> std::optional<key> {
    const edge e = texts.rows[k.second][byte];
    if (!e) return std::nullopt;
    const auto child = tree.find({k.first, byte});
    return key{child == tree.end() ? off : child->second, target_of(e)};
  };
  const auto accepts = [&](const key& k) {
    return texts.accepts[k.second] && (k.first == off || !ends[k.first]);
  };
  return explore(key{0, 0}, next, accepts, states_max);
}

std::string_view format_pattern(std::string_view format) {
// A day of the calendar, leap years included (RFC 3339), and a time with its offset.
#define FULL_DATE_PATTERN                                                                   \
  "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|" \
  "02-(0[1-9]|1[0-9]|2[0-8]))|"                                                             \
  "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
#define FULL_TIME_PATTERN \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
  constexpr std::pair<std::string_view, std::string_view> patterns[] = {
      {"date", "^" FULL_DATE_PATTERN "$"},
      {"time", "^" FULL_TIME_PATTERN "$"},
      {"date-time", "^" FULL_DATE_PATTERN "T" FULL_TIME_PATTERN "$"},
      {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
      {"email",
       "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,1}@"
       "([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\\.){1,3}[A-Za-z]{2,24}$"},
      {"ipv4",
       "^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}"
       "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$"},
  };
#undef FULL_DATE_PATTERN
#undef FULL_TIME_PATTERN
  for (const auto& [name, pattern] : patterns)
    if (name == format) return pattern;
  return {};
}

}  // namespace troupe::kernels::constraint
