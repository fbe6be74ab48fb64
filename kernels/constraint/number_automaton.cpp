#include "kernels/constraint/number_automaton.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "kernels/constraint/pattern.hpp"

namespace troupe::kernels::constraint {
namespace {

constexpr std::uint32_t integer_digits_max = 18;
constexpr std::uint32_t bounded_digits_max = 15;

// A bound of the magnitude: how the digits read so far compare with it.
class magnitude_bound {
 public:
  explicit magnitude_bound(const number_bound& bound)
      : whole_(bound.value.whole), fraction_(bound.value.fraction), exclusive_(bound.exclusive) {}

  // After the digit at `index` of the part before the point; `order` is that of the digits before.
  int after_whole_digit(std::uint32_t index, int order, char digit) const {
    if (index >= whole_.size()) return 1;
    return order != 0 ? order : sign(digit - whole_[index]);
  }
  // All digits before the point are read.
  int after_whole(std::uint32_t digits, int order) const {
    if (digits != whole_.size()) return digits < whole_.size() ? -1 : 1;
    return order;
  }
  int after_fraction_digit(std::uint32_t index, int order, char digit) const {
    return order != 0 ? order : sign(digit - (index < fraction_.size() ? fraction_[index] : '0'));
  }
  // The number ends after `digits` digits of its fraction.
  int at_end(std::uint32_t digits, int order) const {
    return order == 0 && digits < fraction_.size() ? -1 : order;
  }
  bool holds_below(int order) const { return order < 0 || (order == 0 && !exclusive_); }
  bool holds_above(int order) const { return order > 0 || (order == 0 && !exclusive_); }

 private:
  static int sign(int difference) { return (difference > 0) - (difference < 0); }
  std::string whole_, fraction_;
  bool exclusive_;
};

using magnitude_limit = std::optional<magnitude_bound>;
struct magnitude_limits {
  bool empty = false;
  magnitude_limit least, most;
};

number_bound opposite(number_bound bound) {
  if (!bound.value.is_zero()) bound.value.negative = !bound.value.negative;
  return bound;
}

// What the bounds say of numbers that are not negative.
magnitude_limits limits_above_zero(const std::optional<number_bound>& least,
                                   const std::optional<number_bound>& most) {
  magnitude_limits out;
  if (least && !least->value.negative) out.least = magnitude_bound(*least);
  if (most) {
    out.empty = most->value.negative;
    out.most = magnitude_bound(*most);
  }
  return out;
}

// And of the magnitude of those that are below zero.
magnitude_limits limits_below_zero(const number_limits& limits) {
  std::optional<number_bound> least = number_bound{decimal{}, true}, most;
  if (limits.most && limits.most->value.negative) least = opposite(*limits.most);
  if (limits.least) most = opposite(*limits.least);
  magnitude_limits out = limits_above_zero(least, most);
  if (most && most->value.is_zero()) out.empty = true;
  return out;
}

enum class place : std::uint8_t { begin, minus, zero, whole, point, fraction };

// Where reading a number stands.
struct number_key {
  place at = place::begin;
  bool negative = false;
  std::int8_t against_least = 0, against_most = 0;
  std::uint8_t whole_digits = 0, fraction_digits = 0;
  std::uint32_t rest = 0;  // divided by multiple_of

  auto tie() const {
    return std::tie(at, negative, against_least, against_most, whole_digits, fraction_digits, rest);
  }
  bool operator<(const number_key& other) const { return tie() < other.tie(); }
};

class number_stepper {
 public:
  explicit number_stepper(const number_limits& limits)
      : limits_(limits),
        above_(limits_above_zero(limits.least, limits.most)),
        below_(limits_below_zero(limits)) {}

  std::optional<number_key> next(number_key key, unsigned char byte) const {
    if (byte == '-') {
      if (key.at != place::begin || below_.empty) return std::nullopt;
      key.at = place::minus;
      key.negative = true;
      return key;
    }
    if (byte == '.') {
      if (limits_.whole || (key.at != place::zero && key.at != place::whole)) return std::nullopt;
      compare_whole(key);
      key.at = place::point;
      return key;
    }
    if (byte < '0' || byte > '9') return std::nullopt;
    if (key.at == place::point || key.at == place::fraction) return add_fraction(key, byte);
    return add_whole(key, byte);
  }

  bool accepts(number_key key) const {
    if (key.at == place::zero || key.at == place::whole)
      compare_whole(key);
    else if (key.at != place::fraction)
      return false;
    const magnitude_limits& side = key.negative ? below_ : above_;
    if (side.least &&
        !side.least->holds_above(side.least->at_end(key.fraction_digits, key.against_least)))
      return false;
    if (side.most &&
        !side.most->holds_below(side.most->at_end(key.fraction_digits, key.against_most)))
      return false;
    return key.rest == 0;
  }

 private:
  template <class Compare>
  void compare(number_key& key, const Compare& with) const {
    const magnitude_limits& side = key.negative ? below_ : above_;
    if (side.least)
      key.against_least = static_cast<std::int8_t>(with(*side.least, key.against_least));
    if (side.most) key.against_most = static_cast<std::int8_t>(with(*side.most, key.against_most));
  }
  void compare_whole(number_key& key) const {
    compare(key, [&](const magnitude_bound& bound, int order) {
      return bound.after_whole(key.whole_digits, order);
    });
  }
  std::optional<number_key> add_whole(number_key key, unsigned char byte) const {
    const std::uint32_t most = limits_.whole ? integer_digits_max : bounded_digits_max;
    if (key.at == place::zero || key.whole_digits == most) return std::nullopt;
    if (!key.negative && above_.empty) return std::nullopt;
    key.at = byte == '0' && key.at != place::whole ? place::zero : place::whole;
    compare(key, [&](const magnitude_bound& bound, int order) {
      return bound.after_whole_digit(key.whole_digits, order, static_cast<char>(byte));
    });
    ++key.whole_digits;
    if (limits_.whole) key.rest = (key.rest * 10 + (byte - '0')) % limits_.multiple_of;
    return key;
  }
  std::optional<number_key> add_fraction(number_key key, unsigned char byte) const {
    if (key.whole_digits + key.fraction_digits >= static_cast<int>(bounded_digits_max))
      return std::nullopt;
    key.at = place::fraction;
    compare(key, [&](const magnitude_bound& bound, int order) {
      return bound.after_fraction_digit(key.fraction_digits, order, static_cast<char>(byte));
    });
    ++key.fraction_digits;
    return key;
  }

  const number_limits& limits_;
  magnitude_limits above_, below_;
};

status check_bounds(const number_limits& limits) {
  const std::uint32_t digits = limits.whole ? integer_digits_max : bounded_digits_max;
  for (const auto& bound : {limits.least, limits.most}) {
    if (!bound) continue;
    if (!limits.whole && bound->value.significant_digits() > bounded_digits_max)
      return error{error_code::invalid_argument,
                   "the bound has " + std::to_string(bound->value.significant_digits()) + " digits",
                   std::to_string(bounded_digits_max) + " are allowed"};
  }
  const bool far_above =
      limits.least && !limits.least->value.negative && limits.least->value.whole.size() > digits;
  const bool far_below =
      limits.most && limits.most->value.negative && limits.most->value.whole.size() > digits;
  if (far_above || far_below)
    return error{error_code::invalid_argument,
                 "the bound asks for numbers of more than " + std::to_string(digits) + " digits",
                 "move the bound nearer to zero"};
  return {};
}

}  // namespace

bool leave_nothing(const number_limits& limits) {
  if (!limits.least || !limits.most) return false;
  const int order = compare(limits.least->value, limits.most->value);
  return order > 0 || (order == 0 && (limits.least->exclusive || limits.most->exclusive));
}

result<automaton> compile_number(const number_limits& limits, std::size_t states_max) {
  if (!limits.least && !limits.most && limits.multiple_of == 1)
    return compile_pattern(limits.whole
                               ? "^(0|-?[1-9][0-9]{0,17})$"
                               : "^-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?$",
                           text_form::plain, states_max);
  if (status checked = check_bounds(limits); !checked) return checked.failure();
  const number_stepper stepper(limits);
  return explore(
      number_key{},
      [&](const number_key& key, unsigned char byte) { return stepper.next(key, byte); },
      [&](const number_key& key) { return stepper.accepts(key); }, states_max);
}

}  // namespace troupe::kernels::constraint
