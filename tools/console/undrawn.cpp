// For a build without FTXUI.
#include "tools/console/drawn.hpp"

namespace troupe::console {

status can_draw() {
  return error{error_code::unsupported,
               "troupe was built without its live console: FTXUI was not there",
               "run tools/prepare-ftxui, then tools/build; --once works without it"};
}

std::vector<std::string> drawn(const console_state&, colours) {
  return {};
}

}  // namespace troupe::console
