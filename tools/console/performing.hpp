// The parts of step(): what a key does, and how the selection follows what is shown.
#pragma once

#include "tools/console/console_state.hpp"

namespace troupe::console {

std::vector<effect> press(console_state& state, const key_press& pressed);

void tell(console_state& state, std::string text, tone look);

// The selected row stays the same one though rows come, go and change places, and stays in sight.
void settle(console_state& state);
std::size_t focused_rows_max(const console_state& state);

}  // namespace troupe::console
