// Filters that give a number.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/arithmetic.hpp"
#include "kernels/chat_template/attribute_path.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

std::string without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool between = text[at] == '_' && at > 0 && at + 1 < text.size() &&
                         std::isalnum(static_cast<unsigned char>(text[at - 1])) &&
                         std::isalnum(static_cast<unsigned char>(text[at + 1]));
    if (!between) out += text[at];
  }
  return out;
}

// Python's int(text, base), or nothing.
std::optional<std::int64_t> read_integer(std::string_view text, int base) {
  std::string digits = without_underscores(strip_left(strip_right(text)));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  const char mark =
      digits.size() > 2 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
  if ((base == 16 && mark == 'x') || (base == 8 && mark == 'o') || (base == 2 && mark == 'b'))
    digits.erase(0, 2);
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  if (negative) digits.insert(digits.begin(), '-');
  std::int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, number, base);
  if (read.ec == std::errc::result_out_of_range && read.ptr == end)
    fail("a text holds an integer beyond 64 bits: " + digits);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return number;
}

// Python's float(text), or nothing.
std::optional<double> read_real(std::string_view text) {
  std::string digits = without_underscores(strip_left(strip_right(text)));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  if (digits.empty() || digits.front() == '-' || digits.find('(') != digits.npos)
    return std::nullopt;
  double number = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, number);
  if (read.ptr != end || read.ec == std::errc::invalid_argument) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) {
    const std::size_t e = digits.find_first_of("eE");
    number = e != digits.npos && digits[e + 1] == '-' ? 0.0 : HUGE_VAL;
  }
  return negative ? -number : number;
}

std::optional<std::int64_t> truncated(double x) {
  if (!(std::fabs(x) < 9.2e18)) return std::nullopt;
  return static_cast<std::int64_t>(x);
}

value filter_int(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("int", given, {"default", "base"});
  const value* fallback = sorted.find("default");
  const value otherwise = fallback ? *fallback : value(std::int64_t{0});
  if (is_undefined(self)) fail_undefined(self);
  if (const auto* text = std::get_if<std::string_view>(&self)) {
    run.spend_on_text(text->size());
    const std::int64_t base = sorted.integer("base", 10);
    if (base < 2 || base > 36) return otherwise;
    if (const auto number = read_integer(*text, static_cast<int>(base))) return *number;
    if (const auto real = read_real(*text))
      if (const auto number = truncated(*real)) return *number;
    return otherwise;
  }
  if (const auto number = integer_of(self)) return *number;
  if (const auto real = number_of(self))
    if (const auto number = truncated(*real)) return *number;
  return otherwise;
}

value filter_float(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("float", given, {"default"});
  const value* fallback = sorted.find("default");
  if (is_undefined(self)) fail_undefined(self);
  if (const auto real = number_of(self)) return *real;
  if (const auto* text = std::get_if<std::string_view>(&self)) {
    run.spend_on_text(text->size());
    if (const auto real = read_real(*text)) return *real;
  }
  return fallback ? *fallback : value(0.0);
}

value filter_abs(rendering&, const value& self, const call_arguments& given) {
  sorted_arguments("abs", given, {});
  return absolute(self);
}

value filter_round(rendering&, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("round", given, {"precision", "method"});
  const std::string_view method = sorted.text("method", "common");
  const std::int64_t precision = sorted.integer("precision", 0);
  if (method == "common") return rounded(self, precision);
  if (method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  const auto real = number_of(self);
  if (!real) fail("type " + std::string(type_name(self)) + " cannot be rounded");
  if (precision < 0 || precision > 15)
    fail_unsupported("rounding to " + std::to_string(precision) + " digits is not supported");
  double scale = 1;
  for (std::int64_t i = 0; i < precision; ++i) scale *= 10;
  return (method == "ceil" ? std::ceil(*real * scale) : std::floor(*real * scale)) / scale;
}

value filter_length(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("length", given, {});
  return static_cast<std::int64_t>(length_of(run, self));
}

value filter_sum(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("sum", given, {"attribute", "start"});
  const value* start = sorted.find("start");
  const value* attribute = sorted.find("attribute");
  if (attribute && is_none(*attribute)) attribute = nullptr;
  value total = start ? *start : value(std::int64_t{0});
  if (is_text(total)) fail("sum() can't sum strings", "use the filter 'join'");
  for (const value& item : items_of(run, self))
    total = combine(run, binary_operator::add, total,
                    attribute ? at_path(run, item, *attribute) : item);
  return total;
}

constexpr filter_row rows[] = {
    {"int", filter_int},     {"float", filter_float},   {"abs", filter_abs},
    {"round", filter_round}, {"length", filter_length}, {"count", filter_length},
    {"sum", filter_sum},
};

}  // namespace

std::span<const filter_row> number_filters() {
  return rows;
}

}  // namespace troupe::kernels::chat
