// One setting's value, and how it is read from text. Bytes are kept in bytes, durations in
// milliseconds.
//
// Writing: bytes as 512, 64KiB, 64MiB, 2GiB, 1TiB (or kB, MB, GB, TB of 1000); durations as 250ms,
// 2s, 5m, 1h, 1d; flags as true or false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/outcome.hpp"
#include "config/settings_table.hpp"

namespace troupe {

using setting_value = std::variant<std::string, std::int64_t, double, bool,
                                   std::vector<std::string>, std::vector<std::int64_t>>;

// A row's single value (of a list: one item) from text. The error says what was found and what is
// allowed.
result<setting_value> read_scalar(const setting_row& row, std::string_view written);

// A list row's value from its items; refuses too many or too few.
result<setting_value> read_list(const setting_row& row, const std::vector<std::string>& written);

bool is_list(const setting_row& row);

// The shortest exact text that read_scalar takes back: "64MiB", "250ms", "a,b".
std::string written_value(const setting_row& row, const setting_value& value);

}  // namespace troupe
