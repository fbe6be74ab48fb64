// Small parts of the drawing.
#pragma once

#include <ftxui/dom/elements.hpp>

#include "tools/console/screen.hpp"

namespace troupe::console {

ftxui::Element drawn_text(const std::string& words, tone look);
ftxui::Element drawn_line(const std::vector<piece>& pieces);
// A sign for a tone, three columns wide: it tells without colour.
std::string mark_of(tone look, bool unicode);
// Title (with others beside it), names of the columns, rows; exactly as large as it is placed.
ftxui::Element drawn_panel(const console_state& state, const shown& what, const placed& where,
                           bool titled);

}  // namespace troupe::console
