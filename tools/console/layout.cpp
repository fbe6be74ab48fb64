#include "tools/console/layout.hpp"

#include <algorithm>

namespace troupe::console {
namespace {

constexpr std::size_t lines_around_rows = 2;  // title, names of the columns
constexpr std::size_t stack_height_min = 24, third_height_min = 30, companion_height_min = 7,
                      columns_width_min = 170;

std::vector<panel> with_focus(std::vector<panel> wish, panel focus) {
  if (std::find(wish.begin(), wish.end(), focus) == wish.end()) wish.back() = focus;
  return wish;
}

void place(std::vector<placed>& out, std::size_t column, const std::vector<panel>& which,
           std::size_t width, std::size_t height, panel focus,
           const std::array<std::size_t, std::size(panels)>& rows_needed) {
  std::size_t weights = 0;
  for (const panel one : which) weights += one == focus ? 2 : 1;
  std::vector<std::size_t> heights;
  std::size_t used = 0;
  for (const panel one : which) {
    std::size_t share = height * (one == focus ? 2 : 1) / weights;
    const std::size_t needed = rows_needed[static_cast<std::size_t>(one)];
    if (needed > 0) share = std::min(share, needed + lines_around_rows + 1);  // and a blank line
    heights.push_back(share);
    used += share;
  }
  // What is left goes to those that take any number of rows, else to the last.
  std::vector<std::size_t> takers;
  for (std::size_t i = 0; i < which.size(); ++i)
    if (rows_needed[static_cast<std::size_t>(which[i])] == 0) takers.push_back(i);
  if (takers.empty()) takers.push_back(which.size() - 1);
  for (std::size_t left = height - used, i = 0; left > 0; --left, ++i)
    ++heights[takers[i % takers.size()]];
  for (std::size_t i = 0; i < which.size(); ++i)
    out.push_back({which[i], column, width, heights[i]});
}

}  // namespace

std::size_t findings_shown(unsigned height, std::size_t findings) {
  return std::min(findings, height < 12   ? std::size_t{1}
                            : height < 20 ? std::size_t{2}
                                          : findings_max);
}

std::size_t body_height(unsigned height, std::size_t findings) {
  const std::size_t around = 3 + findings_shown(height, findings);
  return height > around + 3 ? height - around : 3;
}

std::size_t rows_in(std::size_t height) {
  return height > lines_around_rows ? height - lines_around_rows : 1;
}

std::vector<placed> layout_of(std::size_t width, std::size_t height, panel focus,
                              const std::array<std::size_t, std::size(panels)>& rows_needed) {
  std::vector<placed> out;
  if (height < stack_height_min) {
    // Beside a short panel there is room for the jobs, which everybody wants to see.
    const std::size_t needed = rows_needed[static_cast<std::size_t>(focus)];
    const std::size_t own = needed + lines_around_rows + 1;
    if (needed > 0 && own + companion_height_min <= height) {
      out.push_back({focus, 0, width, own});
      out.push_back({panel::jobs, 0, width, height - own});
    } else {
      out.push_back({focus, 0, width, height});
    }
  } else if (width < columns_width_min) {
    const std::vector<panel> wish = height < third_height_min
                                        ? std::vector<panel>{panel::nodes, panel::jobs}
                                        : std::vector<panel>{panel::nodes, panel::jobs, panel::log};
    place(out, 0, with_focus(wish, focus), width, height, focus, rows_needed);
  } else {
    const std::size_t left = (width - 3) / 2;
    place(out, 0, {panel::nodes, panel::jobs, panel::alerts, panel::caches}, left, height, focus,
          rows_needed);
    place(out, 1, {panel::links, panel::models, panel::actors, panel::log}, width - 3 - left,
          height, focus, rows_needed);
  }
  return out;
}

}  // namespace troupe::console
