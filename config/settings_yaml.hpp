// YAML text to rows: the only place that knows yaml-cpp. Everything is one mapping of sections,
// each a mapping of keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/setting_value.hpp"

namespace troupe {

// A key that stands in the text: its row and value (or why the value is refused), or, without a
// row, what is wrong there.
struct yaml_finding {
  int line = 0;  // from 1
  const setting_row* row = nullptr;
  result<setting_value> value = setting_value();
  std::string key;
  std::string problem;
};

// In the order of the text; never throws.
std::vector<yaml_finding> find_in_yaml(std::string_view yaml);

}  // namespace troupe
