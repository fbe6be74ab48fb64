// The document of `troupe status --json` as tables for a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/outcome.hpp"

namespace troupe::cli {

// Refuses (data_corrupt) what is no status document.
result<std::string> status_table(std::string_view document);

// "1.4 GiB", "512 B".
std::string size_text(double bytes);
// "3d 4h", "12m 5s", "17 s".
std::string time_text(double seconds);

}  // namespace troupe::cli
