#include "kernels/constraint/container_rules.hpp"

#include <algorithm>

#include "kernels/constraint/text_automaton.hpp"

namespace troupe::kernels::constraint {
namespace {

// A comma, and blanks before what follows it.
void add_comma(automaton_draft& draft, state_id from, state_id to, edge marks = 0) {
  const state_id after = draft.add_state();
  draft.add_byte(from, ',', after, marks);
  draft.add_blanks(after, to);
}

// A member's value: at most one space after the colon.
state_id add_value(automaton_draft& draft, state_id colon, value_call value) {
  const state_id spaced = draft.add_state(), after = draft.add_state();
  draft.add_byte(colon, ' ', spaced);
  draft.add_call(colon, value, after);
  draft.add_call(spaced, value, after);
  return after;
}

state_id add_choice(automaton_draft& draft, state_id from, const json_value& value) {
  const bool is_array = value.kind == json_value::form::array;
  const state_id end = draft.add_state();
  if (!is_array && value.kind != json_value::form::object) {
    draft.add_text(from, write_json(value), end);
    return end;
  }
  const std::size_t size = is_array ? value.items.size() : value.members.size();
  state_id at = draft.add_state();
  draft.add_byte(from, is_array ? '[' : '{', at);
  for (std::size_t i = 0; i < size; ++i) {
    const state_id before = draft.add_state();
    if (i == 0)
      draft.add_blanks(at, before);
    else
      add_comma(draft, at, before);
    if (is_array) {
      at = add_choice(draft, before, value.items[i]);
      continue;
    }
    const state_id colon = draft.add_state(), inner = draft.add_state();
    draft.add_text(before, write_json_text(value.members[i].first) + ":", colon);
    draft.add_empty(colon, inner);
    draft.add_byte(colon, ' ', inner);
    at = add_choice(draft, inner, value.members[i].second);
  }
  draft.add_blanks_and(at, is_array ? ']' : '}', end);
  return end;
}

}  // namespace

automaton_draft draft_choices(std::span<const json_value> choices, std::size_t states_max) {
  automaton_draft draft(states_max);
  for (const json_value& choice : choices) draft.accept(add_choice(draft, 0, choice));
  return draft;
}

length_bounds comma_bounds(const array_shape& shape) {
  const auto without_first = [&](std::uint32_t count) {
    const std::size_t others = shape.first.size() + 1;
    return count > others ? static_cast<std::uint32_t>(count - others) : 0;
  };
  if (!shape.rest) return {};
  const bool endless = shape.count.most == length_bounds::none;
  return {without_first(shape.count.least),
          endless ? length_bounds::none : without_first(shape.count.most)};
}

automaton_draft draft_array(const array_shape& shape, std::size_t states_max) {
  automaton_draft draft(states_max);
  const state_id open = draft.add_state(), close = draft.add_state(), end = draft.add_state();
  draft.add_byte(0, '[', open);
  draft.add_blanks_and(close, ']', end);
  draft.accept(end);
  if (shape.count.least == 0) draft.add_empty(open, close);
  const std::size_t firsts = shape.first.size();
  const bool has_rest = shape.rest && shape.count.most > firsts;

  state_id before = draft.add_state();
  draft.add_blanks(open, before);
  for (std::size_t i = 0; i < firsts; ++i) {
    const state_id after = draft.add_state();
    draft.add_call(before, shape.first[i], after);
    if (i + 1 >= shape.count.least) draft.add_empty(after, close);
    before = draft.add_state();
    if (i + 1 < firsts || has_rest) add_comma(draft, after, before);
  }
  if (has_rest) {
    const state_id after = draft.add_state();
    draft.add_call(before, *shape.rest, after);
    add_comma(draft, after, before, edge_ticks);
    draft.add_blanks_and(after, ']', end, edge_closes);
  }
  return draft;
}

result<automaton_draft> draft_object(const object_shape& shape, std::size_t states_max) {
  automaton_draft draft(states_max);
  const state_id open = draft.add_state(), close = draft.add_state(), end = draft.add_state();
  draft.add_byte(0, '{', open);
  draft.add_blanks_and(close, '}', end);
  draft.accept(end);

  const std::size_t size = shape.members.size();
  std::size_t after_required = 0;  // from here on no member is required
  for (std::size_t i = 0; i < size; ++i)
    if (shape.members[i].required) after_required = i + 1;
  std::vector<state_id> names;  // where the name of member i may stand, or a later one
  for (std::size_t i = 0; i <= size; ++i) names.push_back(draft.add_state());
  draft.add_blanks(open, names[0]);
  if (after_required == 0) draft.add_empty(open, close);

  for (std::size_t i = 0; i < size; ++i) {
    const object_shape::member& member = shape.members[i];
    const state_id colon = draft.add_state();
    draft.add_text(names[i], write_json_text(member.name) + ":", colon);
    if (!member.required) draft.add_empty(names[i], names[i + 1]);
    const state_id after = add_value(draft, colon, member.value);
    if (i + 1 < size || shape.more) add_comma(draft, after, names[i + 1]);
    if (i + 1 >= after_required) draft.add_empty(after, close);
  }
  if (!shape.more) return draft;

  std::vector<std::string> taken;
  for (const object_shape::member& member : shape.members) taken.push_back(member.name);
  const result<automaton> name = any_name_but(taken, states_max);
  if (!name) return name.failure();
  const state_id named = draft.add_state(), colon = draft.add_state();
  draft.add_part(names[size], *name, named);
  draft.add_byte(named, ':', colon);
  const state_id after = add_value(draft, colon, *shape.more);
  add_comma(draft, after, names[size]);
  draft.add_empty(after, close);
  return draft;
}

}  // namespace troupe::kernels::constraint
