// A state as what a terminal is sent: one string for each line of the screen, attributes and
// colours as escape sequences. Pure but for the number of colours, which FTXUI keeps for the
// process.
#pragma once

#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "tools/console/console_state.hpp"

namespace troupe::console {

// The terminal's own sixteen, so that its theme holds; attributes (bold, inverse) stay without
// them.
enum class colours { none, sixteen };

// Built with FTXUI? Else how to mend it.
status can_draw();

// state.height lines of state.width columns.
std::vector<std::string> drawn(const console_state& state, colours how);

}  // namespace troupe::console
