// JSON read into a tree that keeps what a schema needs and other readers lose: the order of
// members, a number's own digits, and the place of an error. Bounded in nesting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::kernels::constraint {

struct json_value {
  enum class form : std::uint8_t { null, boolean, number, text, array, object };
  form kind = form::null;
  bool truth = false;
  std::string text = {};  // a text's characters (UTF-8), or a number's digits as they were written
  std::vector<json_value> items = {};
  std::vector<std::pair<std::string, json_value>> members = {};

  const json_value* find(std::string_view name) const;  // nullptr: no such member
};

// Most members of an object and items of an array.
inline constexpr std::size_t json_width_max = 4096;

// Refuses (invalid_argument, with the byte offset) what is not JSON in valid UTF-8, nests deeper
// than `depth_max`, is wider than json_width_max, or names a member twice.
result<json_value> read_json(std::string_view text, std::size_t depth_max);

// Compact JSON; a character is escaped only where JSON demands it, in the shortest form. So equal
// texts are written with equal bytes.
std::string write_json(const json_value& value);
std::string write_json_text(std::string_view characters);  // with its quotes

// A number by its digits: (negative ? -1 : 1) * whole.fraction. whole has no leading zeros ("0"
// alone), fraction no trailing ones; zero is not negative.
struct decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;

  bool is_whole() const { return fraction.empty(); }
  bool is_zero() const { return whole == "0" && fraction.empty(); }
  std::size_t significant_digits() const;
  bool operator==(const decimal&) const = default;
};

// Exact; refuses (invalid_argument) more than decimal_digits_max digits before or after the point.
inline constexpr std::size_t decimal_digits_max = 400;
result<decimal> read_decimal(std::string_view number);
int compare(const decimal& a, const decimal& b);  // -1, 0, 1

// As JSON Schema compares: 1 equals 1.0, and the order of members does not count.
bool equal(const json_value& a, const json_value& b);

}  // namespace troupe::kernels::constraint
