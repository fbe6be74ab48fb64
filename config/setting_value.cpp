#include "config/setting_value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace troupe {
namespace {

struct unit_row {
  std::string_view suffix;
  std::int64_t factor;
};

// Larger units first: the shortest exact text uses the first that divides.
constexpr unit_row byte_units[] = {
    {"TiB", 1ll << 40},
    {"GiB", 1ll << 30},
    {"MiB", 1ll << 20},
    {"KiB", 1ll << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
    {"", 1},
};
constexpr unit_row time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

error refused(const setting_row& row, std::string_view written) {
  return {error_code::invalid_argument,
          "found \"" + std::string(written) + "\"; allowed: " + allowed_text(row), ""};
}

result<std::int64_t> whole_number(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc() || end != digits.data() + digits.size() || digits.empty())
    return error{error_code::invalid_argument, "not a whole number", ""};
  return number;
}

// "64MiB" -> 64 and its factor; multiplication is checked.
template <std::size_t N>
result<std::int64_t> number_with_unit(std::string_view written, const unit_row (&units)[N]) {
  const std::size_t split = std::min(written.find_first_not_of("0123456789"), written.size());
  const auto count = whole_number(written.substr(0, split));
  if (!count) return count.failure();
  std::string_view suffix = written.substr(split);
  while (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  for (const unit_row& unit : units) {
    std::int64_t product = 0;
    if (unit.suffix == suffix && !__builtin_mul_overflow(*count, unit.factor, &product))
      return product;
  }
  return error{error_code::invalid_argument, "not a unit", ""};
}

bool in_range(const setting_row& row, double number) {
  return number >= row.minimum && number <= row.maximum;  // false for NaN
}

bool good_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// HOST:PORT, with or without tcp:// before it.
result<std::string> endpoint_text(std::string_view written) {
  constexpr std::string_view scheme = "tcp://";
  std::string_view rest = written.starts_with(scheme) ? written.substr(scheme.size()) : written;
  const std::size_t colon = rest.rfind(':');
  const error wrong{error_code::invalid_argument, "not an address", ""};
  if (colon == std::string_view::npos || colon == 0) return wrong;
  const std::string_view host = rest.substr(0, colon), port = rest.substr(colon + 1);
  if (host.find_first_of(" /\t\n") != std::string_view::npos) return wrong;
  if (port != "*") {
    const auto number = whole_number(port);
    if (!number || *number < 0 || *number > 65535) return wrong;
  }
  return std::string(scheme) + std::string(rest);
}

bool good_server(std::string_view written) {
  if (written.starts_with("unix:")) return written.substr(5).starts_with("/");
  return !written.ends_with(":*") && !written.ends_with(":0") && !written.starts_with("tcp://") &&
         endpoint_text(written).ok();
}

bool listed(std::string_view choices, std::string_view wanted) {
  while (true) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == wanted) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
}

result<setting_value> read_text(const setting_row& row, std::string_view written, bool item) {
  if (written.find('\0') != std::string_view::npos) return refused(row, "a text with a zero byte");
  const bool fits =
      item ? !written.empty() && written.size() <= 4096 : in_range(row, double(written.size()));
  if (!fits) return refused(row, written);
  switch (row.form) {
    case text_form::plain:
    case text_form::path:
      break;
    case text_form::name:
      if (!good_name(written)) return refused(row, written);
      break;
    case text_form::endpoint: {
      if (written.empty()) break;
      auto address = endpoint_text(written);
      if (!address) return refused(row, written);
      return setting_value(std::move(*address));
    }
    case text_form::server:
      if (!written.empty() && !good_server(written)) return refused(row, written);
      break;
    case text_form::choice:
      if (!listed(row.choices, written)) return refused(row, written);
      break;
  }
  return setting_value(std::string(written));
}

template <std::size_t N>
std::string with_unit(std::int64_t number, const unit_row (&units)[N], std::string_view smallest) {
  for (const unit_row& unit : units)
    if (number != 0 && number % unit.factor == 0)
      return std::to_string(number / unit.factor) + std::string(unit.suffix);
  return std::to_string(number) + std::string(smallest);
}

}  // namespace

bool is_list(const setting_row& row) {
  return row.type == setting_type::text_list || row.type == setting_type::integer_list;
}

result<setting_value> read_scalar(const setting_row& row, std::string_view written) {
  switch (row.type) {
    case setting_type::text:
      return read_text(row, written, false);
    case setting_type::text_list:
      return read_text(row, written, true);
    case setting_type::integer_list: {
      const auto number = whole_number(written);
      if (!number || *number < 0 || *number > 65535) return refused(row, written);
      return setting_value(*number);
    }
    case setting_type::flag:
      if (written != "true" && written != "false") return refused(row, written);
      return setting_value(written == "true");
    case setting_type::number: {
      double number = 0;
      const char* last = written.data() + written.size();
      const auto [end, failure] = std::from_chars(written.data(), last, number);
      if (failure != std::errc() || end != last || !in_range(row, number))
        return refused(row, written);
      return setting_value(number);
    }
    case setting_type::integer:
    case setting_type::bytes:
    case setting_type::duration: {
      auto number = row.type == setting_type::integer ? whole_number(written)
                    : row.type == setting_type::bytes ? number_with_unit(written, byte_units)
                    : written == "0"                  ? result<std::int64_t>(std::int64_t(0))
                                                      : number_with_unit(written, time_units);
      if (!number || !in_range(row, double(*number))) return refused(row, written);
      return setting_value(*number);
    }
  }
  return refused(row, written);
}

result<setting_value> read_list(const setting_row& row, const std::vector<std::string>& written) {
  if (!in_range(row, double(written.size())))
    return error{
        error_code::invalid_argument,
        "found " + std::to_string(written.size()) + " items; allowed: " + allowed_text(row), ""};
  std::vector<std::string> texts;
  std::vector<std::int64_t> numbers;
  for (const std::string& one : written) {
    auto item = read_scalar(row, one);
    if (!item) return item.failure();
    if (row.type == setting_type::integer_list)
      numbers.push_back(std::get<std::int64_t>(*item));
    else
      texts.push_back(std::get<std::string>(std::move(*item)));
  }
  if (row.type == setting_type::integer_list) return setting_value(std::move(numbers));
  return setting_value(std::move(texts));
}

std::string written_value(const setting_row& row, const setting_value& value) {
  switch (row.type) {
    case setting_type::text:
      return std::get<std::string>(value);
    case setting_type::flag:
      return std::get<bool>(value) ? "true" : "false";
    case setting_type::integer:
      return std::to_string(std::get<std::int64_t>(value));
    case setting_type::bytes:
      return with_unit(std::get<std::int64_t>(value), byte_units, "");
    case setting_type::duration:
      return with_unit(std::get<std::int64_t>(value), time_units, "ms");
    case setting_type::number: {
      char digits[32];
      const auto end = std::to_chars(digits, digits + sizeof digits, std::get<double>(value)).ptr;
      return std::string(digits, end);
    }
    case setting_type::text_list:
    case setting_type::integer_list:
      break;
  }
  std::string joined;
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& one : *texts) joined += (joined.empty() ? "" : ",") + one;
  } else {
    for (const std::int64_t one : std::get<std::vector<std::int64_t>>(value))
      joined += (joined.empty() ? "" : ",") + std::to_string(one);
  }
  return joined;
}

}  // namespace troupe
