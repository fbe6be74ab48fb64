// What stands on the screen, as text and where, before anything draws it. Pure functions of the
// state, shared by step() (what fits decides what is scrolled) and the drawing.
#pragma once

#include <string>
#include <vector>

#include "tools/console/console_state.hpp"
#include "tools/console/findings.hpp"
#include "tools/console/layout.hpp"

namespace troupe::console {

struct piece {
  std::string text;
  tone look = tone::plain;
};
using line = std::vector<piece>;

// Plain words at the top; where nobody answers, that first.
std::vector<finding> findings_said(const console_state& state);
// The same in lines that fit, two for each at most.
std::vector<finding> findings_by(const console_state& state);

std::vector<placed> layout_by(const console_state& state);

// The lines of what covers the panels (help, an opened row, a job's story); none while panels are
// shown.
std::vector<line> page_lines(const console_state& state);

// "now", "paused, 0:12 ago", "3:20 ago"
std::string when_text(const console_state& state);

}  // namespace troupe::console
