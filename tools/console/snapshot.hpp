// The whole picture as plain text, for scripts and terminals that cannot be drawn on. Pure.
#pragma once

#include <string>

#include "tools/console/console_state.hpp"

namespace troupe::console {

std::string snapshot(const console_state& state);

}  // namespace troupe::console
