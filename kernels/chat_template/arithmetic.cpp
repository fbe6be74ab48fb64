#include "kernels/chat_template/arithmetic.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/chat_template/text_format.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

std::string_view sign_of(binary_operator what) {
  constexpr std::string_view signs[] = {"+", "-", "*", "/", "//", "%", "**"};
  return signs[static_cast<std::size_t>(what)];
}

[[noreturn]] void fail_operands(binary_operator what, const value& a, const value& b) {
  if (is_undefined(a)) fail_undefined(a);
  if (is_undefined(b)) fail_undefined(b);
  fail("unsupported operand type(s) for " + std::string(sign_of(what)) + ": '" +
       std::string(type_name(a)) + "' and '" + std::string(type_name(b)) + "'");
}

[[noreturn]] void fail_overflow() {
  fail("an integer leaves 64 bits");
}

std::int64_t power_of(std::int64_t base, std::int64_t exponent) {
  std::int64_t made = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) && __builtin_mul_overflow(made, base, &made)) fail_overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
  }
  return made;
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (a == INT64_MIN && b == -1) fail_overflow();
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::int64_t floor_remainder(std::int64_t a, std::int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (b == -1) return 0;
  const std::int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

value combine_reals(binary_operator what, double a, double b) {
  const bool divides = what == binary_operator::divide || what == binary_operator::floor_divide ||
                       what == binary_operator::modulo;
  if (divides && b == 0) fail("float division by zero");
  double rest = 0;
  switch (what) {
    case binary_operator::add:
      return a + b;
    case binary_operator::subtract:
      return a - b;
    case binary_operator::multiply:
      return a * b;
    case binary_operator::divide:
      return a / b;
    case binary_operator::power:
      fail_unsupported("powers of floats are not supported",
                       "they depend on the machine's mathematical library");
    default:
      break;
  }
  rest = std::fmod(a, b);
  const double quotient = (a - rest) / b;
  const bool one_less = rest != 0 && (rest < 0) != (b < 0);
  if (what == binary_operator::modulo)
    return one_less ? rest + b : rest == 0 ? std::copysign(0.0, b) : rest;
  const double whole = std::floor(one_less ? quotient - 1 : quotient);
  return (one_less ? quotient - 1 : quotient) - whole > 0.5 ? whole + 1 : whole;
}

value combine_integers(binary_operator what, std::int64_t a, std::int64_t b) {
  std::int64_t made = 0;
  bool overflow = false;
  switch (what) {
    case binary_operator::add:
      overflow = __builtin_add_overflow(a, b, &made);
      break;
    case binary_operator::subtract:
      overflow = __builtin_sub_overflow(a, b, &made);
      break;
    case binary_operator::multiply:
      overflow = __builtin_mul_overflow(a, b, &made);
      break;
    case binary_operator::floor_divide:
      return floor_quotient(a, b);
    case binary_operator::modulo:
      return floor_remainder(a, b);
    case binary_operator::power:
      if (b < 0) return combine_reals(what, static_cast<double>(a), static_cast<double>(b));
      return power_of(a, b);
    case binary_operator::divide:
      if (b == 0) fail("division by zero");
      return static_cast<double>(a) / static_cast<double>(b);
  }
  if (overflow) fail_overflow();
  return made;
}

value repeated(rendering& run, const value& what, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (const auto* text = std::get_if<std::string_view>(&what)) {
    text_builder out(run);
    out.add(count, *text);
    return out.finish();
  }
  const sequence& list = *as_sequence(what);
  if (!list.items.empty() && count > run.bounds.memory_bytes / sizeof(value) / list.items.size())
    fail("a list repeated " + std::to_string(times) + " times is too long");
  run.spend(count * list.items.size());
  value_builder items(run, count * list.items.size());
  for (std::size_t i = 0; i < count; ++i)
    for (const value& item : list.items) items.add(item);
  return run.make_sequence(list.kind, items.take());
}

bool can_repeat(const value& v) {
  const sequence* list = as_sequence(v);
  return is_text(v) || (list && list->kind <= sequence_kind::tuple);
}

value joined(rendering& run, const sequence& a, const sequence& b) {
  value_builder items(run, a.items.size() + b.items.size());
  for (const sequence* part : {&a, &b})
    for (const value& item : part->items) items.add(item);
  return run.make_sequence(a.kind, items.take());
}

}  // namespace

value combine(rendering& run, binary_operator what, const value& a, const value& b) {
  run.spend();
  const auto x = integer_of(a), y = integer_of(b);
  if (x && y) return combine_integers(what, *x, *y);
  if (const auto u = number_of(a), v = number_of(b); u && v) return combine_reals(what, *u, *v);
  const sequence *left = as_sequence(a), *right = as_sequence(b);
  if (what == binary_operator::add && is_text(a) && is_text(b)) {
    text_builder out(run);
    out.add(std::get<std::string_view>(a)).add(std::get<std::string_view>(b));
    return out.finish();
  }
  if (what == binary_operator::add && left && right && left->kind == right->kind &&
      left->kind <= sequence_kind::tuple)
    return joined(run, *left, *right);
  if (what == binary_operator::multiply && can_repeat(a) && y) return repeated(run, a, *y);
  if (what == binary_operator::multiply && x && can_repeat(b)) return repeated(run, b, *x);
  if (what == binary_operator::modulo && is_text(a)) {
    const bool tuple = right && right->kind == sequence_kind::tuple;
    return percent_format(run, std::get<std::string_view>(a),
                          tuple ? std::span<const value>(right->items) : std::span(&b, 1));
  }
  fail_operands(what, a, b);
}

value negated(const value& v) {
  if (is_undefined(v)) fail_undefined(v);
  if (const auto n = integer_of(v)) return combine_integers(binary_operator::subtract, 0, *n);
  if (const auto x = number_of(v)) return -*x;
  fail("bad operand type for unary -: '" + std::string(type_name(v)) + "'");
}

value absolute(const value& v) {
  if (is_undefined(v)) fail_undefined(v);
  if (const auto n = integer_of(v)) return *n < 0 ? negated(v) : value(*n);
  if (const auto x = number_of(v)) return std::fabs(*x);
  fail("bad operand type for abs(): '" + std::string(type_name(v)) + "'");
}

value rounded(const value& v, std::int64_t digits) {
  if (is_undefined(v)) fail_undefined(v);
  if (digits < 0 || digits > 300)
    fail_unsupported("rounding to " + std::to_string(digits) + " digits is not supported");
  if (const auto n = integer_of(v)) return *n;
  const auto x = number_of(v);
  if (!x) fail("type " + std::string(type_name(v)) + " cannot be rounded");
  if (!std::isfinite(*x)) return *x;
  char text[700];
  const auto written = std::to_chars(text, text + sizeof(text), *x, std::chars_format::fixed,
                                     static_cast<int>(digits));
  double made = 0;
  std::from_chars(text, written.ptr, made);
  return made;
}

}  // namespace troupe::kernels::chat
