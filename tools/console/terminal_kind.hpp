// What the environment says of the terminal. Pure.
#pragma once

#include <functional>
#include <string>

#include "tools/console/drawn.hpp"

namespace troupe::console {

struct terminal_kind {
  bool drawable = true;  // else it cannot move its cursor: text only
  bool unicode = true;
  colours how = colours::sixteen;
};

// variable: a value of the environment, "" where it is not set.
terminal_kind kind_of(const std::function<std::string(const char*)>& variable);

}  // namespace troupe::console
