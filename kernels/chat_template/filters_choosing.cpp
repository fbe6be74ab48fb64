// Filters that apply a filter, a test or an attribute to each item. They give iterators, which are
// worked out at once: what fails for one item fails, even where nobody would have taken it.
#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/attribute_path.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_tests.hpp"

namespace troupe::kernels::chat {

namespace {

// Whatever is false counts as empty here, even where it has no items.
std::span<const value> items_to_choose(rendering& run, const value& self) {
  return is_true(self) ? items_of(run, self) : std::span<const value>();
}

std::string_view name_in(const value& v, std::string_view what) {
  if (!is_text(v)) fail("the name of a " + std::string(what) + " has to be a text");
  return std::get<std::string_view>(v);
}

value map_attribute(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("map", given, {"attribute", "default"});
  const value* fallback = sorted.find("default");
  if (fallback && is_none(*fallback)) fallback = nullptr;
  value_builder made(run);
  for (const value& item : items_to_choose(run, self))
    made.add(at_path(run, item, sorted.needed("attribute"), fallback));
  return run.make_sequence(sequence_kind::iterator, made.take());
}

value filter_map(rendering& run, const value& self, const call_arguments& given) {
  if (given.positional.empty()) return map_attribute(run, self, given);
  const std::string_view name = name_in(given.positional.front(), "filter");
  const filter_row* row = find_filter(name);
  if (!row) fail_unsupported("the filter '" + std::string(name) + "' is not supported");
  const call_arguments rest = without_front(given, 1);
  const value_depth depth(run);  // map may be the filter
  value_builder made(run);
  for (const value& item : items_to_choose(run, self)) {
    run.take_turn();
    made.add(row->run(run, item, rest));
  }
  return run.make_sequence(sequence_kind::iterator, made.take());
}

// Keeps the items for which the test, or truth where there is none, gives `wanted`.
template <bool wanted, bool of_attribute>
value filter_choose(rendering& run, const value& self, const call_arguments& given) {
  if (of_attribute && given.positional.empty()) fail("Missing parameter for attribute name");
  const std::size_t before = of_attribute ? 1 : 0;
  const value_test_row* row = nullptr;
  if (given.positional.size() > before) {
    const std::string_view name = name_in(given.positional[before], "test");
    row = find_value_test(name);
    if (!row) fail_unsupported("the test '" + std::string(name) + "' is not supported");
  }
  const call_arguments rest = without_front(given, before + 1);
  value_builder kept(run);
  for (const value& item : items_to_choose(run, self)) {
    run.take_turn();
    const value tested = of_attribute ? at_path(run, item, given.positional.front()) : item;
    if ((row ? row->holds(run, tested, rest) : is_true(tested)) == wanted) kept.add(item);
  }
  return run.make_sequence(sequence_kind::iterator, kept.take());
}

value filter_attr(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("attr", given, {"name"});
  const std::string_view name = sorted.text("name", {});
  if (as_mapping(self)) return undefined_value{name, type_name(self)};
  return attribute_of(run, self, name);
}

constexpr filter_row rows[] = {
    {"map", filter_map},
    {"select", filter_choose<true, false>},
    {"reject", filter_choose<false, false>},
    {"selectattr", filter_choose<true, true>},
    {"rejectattr", filter_choose<false, true>},
    {"attr", filter_attr},
};

}  // namespace

std::span<const filter_row> choosing_filters() {
  return rows;
}

}  // namespace troupe::kernels::chat
