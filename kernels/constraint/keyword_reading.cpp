#include "kernels/constraint/keyword_reading.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "kernels/constraint/text_automaton.hpp"

namespace troupe::kernels::constraint {
namespace {

constexpr std::uint32_t multiple_max = 1000000;
constexpr std::size_t count_digits_max = 9;

struct type_row {
  std::string_view name;
  type_set types;
};
constexpr type_row type_rows[] = {
    {"null", null_type},       {"boolean", boolean_type},
    {"integer", integer_type}, {"number", integer_type | fraction_type},
    {"string", text_type},     {"array", array_type},
    {"object", object_type},
};
constexpr type_row spoken_rows[] = {
    {"minimum", integer_type | fraction_type},
    {"maximum", integer_type | fraction_type},
    {"exclusiveMinimum", integer_type | fraction_type},
    {"exclusiveMaximum", integer_type | fraction_type},
    {"multipleOf", integer_type | fraction_type},
    {"minLength", text_type},
    {"maxLength", text_type},
    {"pattern", text_type},
    {"format", text_type},
    {"items", array_type},
    {"prefixItems", array_type},
    {"minItems", array_type},
    {"maxItems", array_type},
    {"properties", object_type},
    {"required", object_type},
    {"additionalProperties", object_type},
};

result<type_set> read_type_name(const schema_part& part, const json_value& value) {
  for (const type_row& row : type_rows)
    if (value.kind == json_value::form::text && row.name == value.text) return row.types;
  return schema_error(part.path, "type is " + write_json(value),
                      "null, boolean, integer, number, string, array and object are types");
}

// A count of characters or items.
result<std::optional<std::uint32_t>> read_count(const schema_part& part, std::string_view name) {
  const json_value* value = part.schema->find(name);
  if (!value) return std::optional<std::uint32_t>();
  const result<decimal> number = read_decimal(value->text);
  if (!number || number->negative || !number->is_whole() || number->whole.size() > count_digits_max)
    return schema_error(part.path, std::string(name) + " is " + write_json(*value),
                        "a whole number from 0 to 999999999 is allowed");
  std::uint32_t count = 0;
  std::from_chars(number->whole.data(), number->whole.data() + number->whole.size(), count);
  return std::optional<std::uint32_t>(count);
}

status narrow_count(const schema_part& part, std::string_view least, std::string_view most,
                    length_bounds& bounds) {
  const auto low = read_count(part, least), high = read_count(part, most);
  if (!low) return low.failure();
  if (!high) return high.failure();
  if (*low) bounds.least = std::max(bounds.least, **low);
  if (*high) bounds.most = std::min(bounds.most, **high);
  return {};
}

status narrow_bound(const schema_part& part, std::string_view name, bool is_least, bool exclusive,
                    std::optional<number_bound>& bound) {
  const json_value* value = part.schema->find(name);
  if (!value) return {};
  const result<decimal> number = read_decimal(value->text);
  if (!number)
    return schema_error(part.path, std::string(name) + ": " + number.failure().message,
                        number.failure().mend);
  const int order = bound ? compare(*number, bound->value) : is_least ? 1 : -1;
  const bool tighter = is_least ? order > 0 : order < 0;
  if (tighter)
    bound = number_bound{*number, exclusive};
  else if (order == 0)
    bound->exclusive = bound->exclusive || exclusive;
  return {};
}

status narrow_multiple(const schema_part& part, number_limits& numbers) {
  const json_value* value = part.schema->find("multipleOf");
  if (!value) return {};
  const error refused =
      schema_error(part.path, "multipleOf is " + write_json(*value),
                   "a whole number from 1 to " + std::to_string(multiple_max) + " is taken");
  const result<decimal> number = read_decimal(value->text);
  if (!number || number->negative || !number->is_whole() || number->is_zero() ||
      number->whole.size() > count_digits_max)
    return refused;
  const std::uint64_t multiple = std::lcm(std::uint64_t{numbers.multiple_of},
                                          static_cast<std::uint64_t>(std::stoul(number->whole)));
  if (multiple > multiple_max) return refused;
  numbers.multiple_of = static_cast<std::uint32_t>(multiple);
  numbers.whole = true;
  return {};
}

}  // namespace

result<type_set> read_types(const schema_part& part) {
  const json_value* type = part.schema->find("type");
  if (!type) return type_set{all_types};
  if (type->kind != json_value::form::array) return read_type_name(part, *type);
  type_set types = 0;
  for (const json_value& item : type->items) {
    const result<type_set> one = read_type_name(part, item);
    if (!one) return one.failure();
    types = static_cast<type_set>(types | *one);
  }
  return types;
}

type_set spoken_types(const schema_part& part) {
  type_set types = 0;
  for (const type_row& row : spoken_rows)
    if (part.schema->find(row.name)) types = static_cast<type_set>(types | row.types);
  return types;
}

type_set type_of(const json_value& value) {
  switch (value.kind) {
    case json_value::form::null:
      return null_type;
    case json_value::form::boolean:
      return boolean_type;
    case json_value::form::text:
      return text_type;
    case json_value::form::array:
      return array_type;
    case json_value::form::object:
      return object_type;
    case json_value::form::number:
      break;
  }
  const result<decimal> number = read_decimal(value.text);
  return number && number->is_whole() ? integer_type : fraction_type;
}

status narrow_numbers(const schema_part& part, schema_node& node) {
  number_limits& numbers = node.numbers;
  status narrowed = narrow_bound(part, "minimum", true, false, numbers.least);
  if (narrowed) narrowed = narrow_bound(part, "exclusiveMinimum", true, true, numbers.least);
  if (narrowed) narrowed = narrow_bound(part, "maximum", false, false, numbers.most);
  if (narrowed) narrowed = narrow_bound(part, "exclusiveMaximum", false, true, numbers.most);
  if (narrowed) narrowed = narrow_multiple(part, numbers);
  return narrowed;
}

status narrow_texts(const schema_part& part, schema_node& node) {
  status narrowed = narrow_count(part, "minLength", "maxLength", node.text_length);
  if (!narrowed) return narrowed;
  const auto add = [&](std::string_view pattern) {
    if (std::find(node.patterns.begin(), node.patterns.end(), pattern) == node.patterns.end())
      node.patterns.emplace_back(pattern);
  };
  if (const json_value* pattern = part.schema->find("pattern")) add(pattern->text);
  if (const json_value* format = part.schema->find("format")) {
    const std::string_view pattern = format_pattern(format->text);
    if (pattern.empty())
      return schema_error(part.path, "the format " + write_json(*format) + " is not taken",
                          "date-time, date, time, uuid, email and ipv4 are; or use a pattern");
    add(pattern);
  }
  return {};
}

status narrow_items_count(const schema_part& part, schema_node& node) {
  return narrow_count(part, "minItems", "maxItems", node.items_count);
}

status narrow_choices(const schema_part& part, schema_node& node) {
  const auto keep = [&](const auto& has) {
    if (node.choices) std::erase_if(*node.choices, [&](const json_value& v) { return !has(v); });
  };
  if (const json_value* list = part.schema->find("enum")) {
    keep([&](const json_value& v) {
      return std::any_of(list->items.begin(), list->items.end(),
                         [&](const json_value& item) { return equal(item, v); });
    });
    if (!node.choices) node.choices = list->items;
  }
  if (const json_value* value = part.schema->find("const")) {
    keep([&](const json_value& v) { return equal(*value, v); });
    if (!node.choices) node.choices = std::vector<json_value>{*value};
  }
  return {};
}

}  // namespace troupe::kernels::constraint
