// Which panels a terminal of some size shows, and where. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "tools/console/scene.hpp"

namespace troupe::console {

struct placed {
  panel which;
  std::size_t column, width, height;  // in characters; column: 0 left, 1 right
};

inline constexpr std::size_t findings_max = 6;

// Lines that are no panels: header, findings, tabs, footer.
std::size_t findings_shown(unsigned height, std::size_t findings);
std::size_t body_height(unsigned height, std::size_t findings);

// The focused panel is always there and has most room. From top to bottom, the left column first.
// rows_needed: of panels whose number of rows changes seldom; 0: as many as there is room for.
std::vector<placed> layout_of(std::size_t width, std::size_t height, panel focus,
                              const std::array<std::size_t, std::size(panels)>& rows_needed);

// Rows of a panel of that height: without its title and the names of its columns.
std::size_t rows_in(std::size_t height);

}  // namespace troupe::console
