// Methods of dicts, lists and loops.
#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/methods.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

value refused(rendering&, const value& self, const call_arguments&) {
  fail("a template may not change a " + std::string(type_name(self)),
       "build a new one: [1] + [2], or dict(old, key=1)");
}

value get_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("get", given, {"key", "default"});
  const value* fallback = sorted.find("default");
  if (const value* held = find_entry(run, *as_mapping(self), sorted.needed("key"))) return *held;
  return fallback ? *fallback : value(none_value{});
}

value keys_method(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("keys", given, {});
  value_builder keys(run, as_mapping(self)->entries.size());
  for (const auto& [key, held] : as_mapping(self)->entries) keys.add(key);
  return run.make_sequence(sequence_kind::view, keys.take(), "dict_keys");
}

value values_method(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("values", given, {});
  value_builder values(run, as_mapping(self)->entries.size());
  for (const auto& [key, held] : as_mapping(self)->entries) values.add(held);
  return run.make_sequence(sequence_kind::view, values.take(), "dict_values");
}

value items_method(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("items", given, {});
  value_builder items(run, as_mapping(self)->entries.size());
  for (const auto& [key, held] : as_mapping(self)->entries)
    items.add(run.make_sequence(sequence_kind::tuple, {key, held}));
  return run.make_sequence(sequence_kind::view, items.take(), "dict_items");
}

value copy_method(rendering&, const value& self, const call_arguments& given) {
  sorted_arguments("copy", given, {});
  return self;  // nobody can change either
}

value count_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("count", given, {"value"});
  std::int64_t count = 0;
  for (const value& item : as_sequence(self)->items)
    count += equals(run, item, sorted.needed("value")) ? 1 : 0;
  return count;
}

value index_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("index", given, {"value"});
  std::int64_t index = 0;
  for (const value& item : as_sequence(self)->items) {
    if (equals(run, item, sorted.needed("value"))) return index;
    ++index;
  }
  fail("the value is not in the list");
}

value cycle_method(rendering&, const value& self, const call_arguments& given) {
  if (given.positional.empty()) fail("no items for cycling given");
  return given.positional[std::get<loop_state*>(self)->index % given.positional.size()];
}

value changed_method(rendering& run, const value& self, const call_arguments& given) {
  loop_state& loop = *std::get<loop_state*>(self);
  bool changed = !loop.has_seen || loop.last_seen.size() != given.positional.size();
  for (std::size_t i = 0; !changed && i < loop.last_seen.size(); ++i)
    changed = !equals(run, loop.last_seen[i], given.positional[i]);
  loop.has_seen = true;
  if (changed) loop.last_seen = given.positional;
  return changed;
}

using row = std::pair<std::string_view, builtin>;

constexpr row mapping_rows[] = {
    {"get", get_method},     {"keys", keys_method}, {"values", values_method},
    {"items", items_method}, {"copy", copy_method}, {"clear", refused},
    {"pop", refused},        {"popitem", refused},  {"setdefault", refused},
    {"update", refused},     {"fromkeys", refused},
};
constexpr row sequence_rows[] = {
    {"count", count_method}, {"index", index_method}, {"copy", copy_method}, {"append", refused},
    {"clear", refused},      {"extend", refused},     {"insert", refused},   {"pop", refused},
    {"remove", refused},     {"reverse", refused},    {"sort", refused},
};
constexpr row loop_rows[] = {{"cycle", cycle_method}, {"changed", changed_method}};

template <std::size_t count>
builtin find_row(const row (&rows)[count], std::string_view name) {
  for (const auto& [known, method] : rows)
    if (known == name) return method;
  return nullptr;
}

}  // namespace

builtin find_mapping_method(std::string_view name) {
  return find_row(mapping_rows, name);
}
builtin find_sequence_method(std::string_view name) {
  return find_row(sequence_rows, name);
}
builtin find_loop_method(std::string_view name) {
  return find_row(loop_rows, name);
}

std::optional<value> loop_attribute(rendering&, const loop_state& loop, std::string_view name) {
  const auto number = [](std::size_t n) { return value(static_cast<std::int64_t>(n)); };
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "first") return value(loop.index == 0);
  if (name == "last") return value(loop.index + 1 == loop.length);
  if (name == "length") return number(loop.length);
  if (name == "revindex") return number(loop.length - loop.index);
  if (name == "revindex0") return number(loop.length - loop.index - 1);
  if (name == "depth") return number(loop.depth);
  if (name == "depth0") return number(loop.depth - 1);
  if (name == "previtem")
    return loop.index > 0 ? loop.items[loop.index - 1]
                          : value(undefined_value{"", "there is no previous item"});
  if (name == "nextitem")
    return loop.index + 1 < loop.length ? loop.items[loop.index + 1]
                                        : value(undefined_value{"", "there is no next item"});
  return std::nullopt;
}

}  // namespace troupe::kernels::chat
