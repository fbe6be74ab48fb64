// What stands under a name, an index or a slice. Jinja2's order: `a.b` looks for a method first and
// for an item then, `a['b']` the other way round.
#include <algorithm>

#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/methods.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

value missing(std::string_view name, const value& owner) {
  return undefined_value{name, type_name(owner)};
}

value bound(rendering& run, std::string_view name, builtin method, const value& self) {
  callable made;
  made.name = name;
  made.run = method;
  made.self = self;
  return run.make_callable(std::move(made));
}

builtin method_of(const value& of, std::string_view name) {
  if (is_text(of)) return find_text_method(name);
  if (as_mapping(of)) return find_mapping_method(name);
  if (const sequence* held = as_sequence(of);
      held && (held->kind == sequence_kind::list || held->kind == sequence_kind::tuple))
    return find_sequence_method(name);
  if (std::holds_alternative<loop_state*>(of)) return find_loop_method(name);
  return nullptr;
}

// Without items: what Python's getattr gives, or undefined.
value own_attribute(rendering& run, const value& of, std::string_view name) {
  if (const builtin method = method_of(of, name)) return bound(run, name, method, of);
  if (const auto* space = std::get_if<name_space*>(&of)) {
    const value* held = find_entry(run, (*space)->names, name);
    return held ? *held : missing(name, of);
  }
  if (const auto* loop = std::get_if<loop_state*>(&of))
    if (const auto found = loop_attribute(run, **loop, name)) return *found;
  return missing(name, of);
}

// Where an index counts from the end, or lies outside.
std::optional<std::size_t> place_of(std::int64_t index, std::size_t length) {
  const auto size = static_cast<std::int64_t>(length);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return static_cast<std::size_t>(index);
}

bool is_ascii_length(std::string_view text, std::size_t characters) {
  return text.size() == characters;
}

}  // namespace

value character_at(rendering& run, std::string_view text, std::int64_t index) {
  run.spend_on_text(text.size());
  const std::size_t length = count_characters(text);
  const auto place = place_of(index, length);
  if (!place) return undefined_value{"", "str object has no such character"};
  const std::size_t begin = is_ascii_length(text, length) ? *place : byte_of(text, *place);
  return text.substr(begin, byte_of(text.substr(begin), 1));
}

value attribute_of(rendering& run, const value& of, std::string_view name) {
  run.spend();
  if (is_undefined(of)) fail_undefined(of);
  value own = own_attribute(run, of, name);
  if (!is_undefined(own)) return own;
  if (const mapping* entries = as_mapping(of))
    if (const value* held = find_entry(run, *entries, name)) return *held;
  return own;
}

value item_of(rendering& run, const value& of, const value& key) {
  run.spend();
  if (is_undefined(of)) fail_undefined(of);
  const auto index = integer_of(key);
  if (const mapping* entries = as_mapping(of)) {
    const sequence* list = as_sequence(key);
    const bool hashable = !as_mapping(key) && !(list && list->kind == sequence_kind::list);
    if (const value* held = hashable ? find_entry(run, *entries, key) : nullptr) return *held;
  } else if (const auto* text = std::get_if<std::string_view>(&of); text && index) {
    return character_at(run, *text, *index);
  } else if (const sequence* held = as_sequence(of);
             held && index && held->kind <= sequence_kind::range) {
    if (const auto place = place_of(*index, held->items.size())) return held->items[*place];
  }
  if (is_text(key)) return own_attribute(run, of, std::get<std::string_view>(key));
  if (is_undefined(key)) return undefined_value{std::get<undefined_value>(key).name, type_name(of)};
  const std::string shown = index ? std::to_string(*index) : std::string(type_name(key));
  return undefined_value{run.keep(shown), type_name(of)};
}

namespace {

struct slice_bounds {
  std::int64_t start, step;
  std::size_t count;
};

std::int64_t bound_or(const value& v, std::int64_t otherwise) {
  if (is_none(v)) return otherwise;
  if (const auto number = integer_of(v)) return *number;
  if (is_undefined(v)) fail_undefined(v);
  fail("slice indices must be integers or None, not " + std::string(type_name(v)));
}

slice_bounds resolve(std::size_t length, const value& start, const value& stop, const value& step) {
  const auto size = static_cast<std::int64_t>(length);
  const std::int64_t by = std::clamp<std::int64_t>(bound_or(step, 1), -size - 1, size + 1);
  if (by == 0) fail("slice step cannot be zero");
  const std::int64_t lowest = by > 0 ? 0 : -1, highest = by > 0 ? size : size - 1;
  const auto place = [&](const value& v, std::int64_t otherwise) {
    if (is_none(v)) return otherwise;
    const std::int64_t given = bound_or(v, 0);
    return given < 0 ? std::max(given < -size ? lowest : given + size, lowest)
                     : std::min(given, highest);
  };
  const std::int64_t from = place(start, by > 0 ? lowest : highest);
  const std::int64_t to = place(stop, by > 0 ? highest : lowest);
  const std::int64_t span = by > 0 ? to - from : from - to, stride = by > 0 ? by : -by;
  return {from, by, span <= 0 ? 0 : static_cast<std::size_t>((span + stride - 1) / stride)};
}

value slice_of_text(rendering& run, std::string_view text, const value& start, const value& stop,
                    const value& step) {
  run.spend_on_text(text.size());
  const std::size_t length = count_characters(text);
  const slice_bounds s = resolve(length, start, stop, step);
  const auto first = static_cast<std::size_t>(s.start);
  if (s.count == 0) return std::string_view{};
  if (s.step == 1 && is_ascii_length(text, length)) return text.substr(first, s.count);
  if (s.step == 1) {
    const std::string_view rest = text.substr(byte_of(text, first));
    return rest.substr(0, byte_of(rest, s.count));
  }
  run.spend(length);
  const memory_lease held(run, text.size() * 10);  // both lists of codes, and the new text
  const std::u32string codes = codes_of(text);
  std::u32string taken;
  taken.reserve(s.count);
  for (std::size_t i = 0; i < s.count; ++i)
    taken += codes[static_cast<std::size_t>(s.start + static_cast<std::int64_t>(i) * s.step)];
  return run.keep(text_of(taken));
}

}  // namespace

value slice_of(rendering& run, const value& of, const value& start, const value& stop,
               const value& step) {
  if (is_undefined(of)) fail_undefined(of);
  if (const auto* text = std::get_if<std::string_view>(&of))
    return slice_of_text(run, *text, start, stop, step);
  const sequence* held = as_sequence(of);
  if (!held || held->kind > sequence_kind::range)
    fail("'" + std::string(type_name(of)) + "' object has no slices");
  const slice_bounds s = resolve(held->items.size(), start, stop, step);
  value_builder items(run, s.count);
  for (std::size_t i = 0; i < s.count; ++i)
    items.add(
        held->items[static_cast<std::size_t>(s.start + static_cast<std::int64_t>(i) * s.step)]);
  const bool tuple = held->kind == sequence_kind::tuple;
  return run.make_sequence(tuple ? sequence_kind::tuple : sequence_kind::list, items.take());
}

}  // namespace troupe::kernels::chat
