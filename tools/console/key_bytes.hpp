// What a terminal sends when keys are pressed, as keys. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/console/console_events.hpp"

namespace troupe::console {

// Takes whole keys off the front of `bytes`; what may go on stays there. With `waited` (nothing
// came for a moment) a lone ESC is the key Escape. Unknown sequences are swallowed whole.
std::vector<key_press> keys_of(std::string& bytes, bool waited);

}  // namespace troupe::console
