#include "kernels/chat_template/value_tests.hpp"

#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/arithmetic.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"

namespace troupe::kernels::chat {

namespace {

using given_arguments = const call_arguments&;

const value& other(given_arguments given) {
  if (given.positional.size() != 1 || !given.named.empty())
    fail("this test needs one value to compare with");
  return given.positional.front();
}

// Tests of the value alone.
template <bool (*holds)(const value&)>
bool alone(rendering&, const value& self, given_arguments given) {
  if (!given.positional.empty() || !given.named.empty()) fail("this test takes no argument");
  return holds(self);
}

bool is_defined(const value& v) {
  return !is_undefined(v);
}
bool is_boolean(const value& v) {
  return std::holds_alternative<bool>(v);
}
bool is_true_itself(const value& v) {
  return is_boolean(v) && std::get<bool>(v);
}
bool is_false_itself(const value& v) {
  return is_boolean(v) && !std::get<bool>(v);
}
bool is_integer(const value& v) {
  return std::holds_alternative<std::int64_t>(v);
}
bool is_float(const value& v) {
  return std::holds_alternative<double>(v);
}
bool is_number(const value& v) {
  return is_boolean(v) || is_integer(v) || is_float(v);
}
bool is_mapping(const value& v) {
  return as_mapping(v) != nullptr;
}
bool is_callable(const value& v) {
  return std::holds_alternative<callable*>(v);
}
bool never(const value&) {
  return false;
}

bool is_sequence(const value& v) {
  const sequence* held = as_sequence(v);
  return is_undefined(v) || is_text(v) || as_mapping(v) ||
         (held && held->kind <= sequence_kind::range);
}

// As `%` gives it: also of floats.
double remainder_of(rendering& run, const value& v, const value& by) {
  if (is_undefined(v)) fail_undefined(v);
  const auto remainder = number_of(v) ? number_of(combine(run, binary_operator::modulo, v, by))
                                      : std::optional<double>();
  if (!remainder) fail("this test needs a number, not " + std::string(type_name(v)));
  return *remainder;
}

bool is_odd(rendering& run, const value& self, given_arguments) {
  return remainder_of(run, self, std::int64_t{2}) == 1;
}
bool is_even(rendering& run, const value& self, given_arguments) {
  return remainder_of(run, self, std::int64_t{2}) == 0;
}
bool is_divisible(rendering& run, const value& self, given_arguments given) {
  return remainder_of(run, self, other(given)) == 0;
}

bool is_equal(rendering& run, const value& self, given_arguments given) {
  return equals(run, self, other(given));
}
bool is_unequal(rendering& run, const value& self, given_arguments given) {
  return !equals(run, self, other(given));
}
bool is_less(rendering& run, const value& self, given_arguments given) {
  return order(run, self, other(given)) < 0;
}
bool is_at_most(rendering& run, const value& self, given_arguments given) {
  return order(run, self, other(given)) <= 0;
}
bool is_greater(rendering& run, const value& self, given_arguments given) {
  return order(run, self, other(given)) > 0;
}
bool is_at_least(rendering& run, const value& self, given_arguments given) {
  return order(run, self, other(given)) >= 0;
}
bool is_in(rendering& run, const value& self, given_arguments given) {
  return contains(run, other(given), self);
}

// The same object; for what has no identity here, the same type and value.
bool is_same(rendering& run, const value& self, given_arguments given) {
  const value& with = other(given);
  if (self.index() != with.index()) return false;
  if (as_sequence(self)) return as_sequence(self) == as_sequence(with);
  if (as_mapping(self)) return as_mapping(self) == as_mapping(with);
  return equals(run, self, with);
}

template <bool (*wrong)(char32_t)>
bool has_case(rendering& run, const value& self, given_arguments) {
  const std::string_view text = text_of_value(run, self);
  run.spend(text.size() / 4);
  const memory_lease held(run, text.size() * sizeof(char32_t));
  const std::u32string codes = codes_of(text);
  return std::none_of(codes.begin(), codes.end(), wrong) &&
         std::any_of(codes.begin(), codes.end(), is_cased);
}

bool is_filter(rendering&, const value& self, given_arguments) {
  return is_text(self) && find_filter(std::get<std::string_view>(self)) != nullptr;
}
bool is_test(rendering&, const value& self, given_arguments) {
  return is_text(self) && find_value_test(std::get<std::string_view>(self)) != nullptr;
}

constexpr value_test_row rows[] = {
    {"defined", alone<is_defined>},
    {"undefined", alone<is_undefined>},
    {"none", alone<is_none>},
    {"boolean", alone<is_boolean>},
    {"true", alone<is_true_itself>},
    {"false", alone<is_false_itself>},
    {"integer", alone<is_integer>},
    {"float", alone<is_float>},
    {"number", alone<is_number>},
    {"string", alone<is_text>},
    {"mapping", alone<is_mapping>},
    {"sequence", alone<is_sequence>},
    {"iterable", alone<is_iterable>},
    {"callable", alone<is_callable>},
    {"escaped", alone<never>},
    {"filter", is_filter},
    {"test", is_test},
    {"lower", has_case<is_upper>},
    {"upper", has_case<is_lower>},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"sameas", is_same},
    {"in", is_in},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"==", is_equal},
    {"ne", is_unequal},
    {"!=", is_unequal},
    {"lt", is_less},
    {"lessthan", is_less},
    {"<", is_less},
    {"le", is_at_most},
    {"<=", is_at_most},
    {"gt", is_greater},
    {"greaterthan", is_greater},
    {">", is_greater},
    {"ge", is_at_least},
    {">=", is_at_least},
};

}  // namespace

const value_test_row* find_value_test(std::string_view name) {
  for (const value_test_row& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace troupe::kernels::chat
