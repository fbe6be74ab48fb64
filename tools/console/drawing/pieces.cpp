#include "tools/console/drawing/pieces.hpp"

#include <algorithm>
#include <ftxui/screen/color.hpp>

#include "tools/console/sparkline.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

using namespace ftxui;

constexpr std::size_t bar_width_max = 10;

std::string cell_text(const cell& one, std::size_t width, const column& where, bool unicode) {
  if (!one.values.empty()) {
    const std::vector<float> values =
        thinned(one.values, std::max<std::size_t>(one.values.size() / width, 1));
    return padded(sparkline(values, 1, unicode), width, false);
  }
  if (std::isnan(one.bar)) return padded(one.text, width, where.right);
  const std::size_t words = std::max<std::size_t>(width_of(one.text), 5);
  const std::size_t bar = width > words + 1 ? std::min(width - words - 1, bar_width_max) : 0;
  return padded(bar_text(one.bar, bar, unicode) + padded(one.text, words + (bar ? 1 : 0), true),
                width, false);
}

Element drawn_row(const row& one, const table& rows, const std::vector<std::size_t>& widths,
                  bool selected, bool focused, bool unicode) {
  Elements out = {text(selected ? ">" : " ")};
  for (std::size_t i = 0; i < widths.size() && i < one.cells.size(); ++i) {
    if (widths[i] == 0) continue;
    if (out.size() > 1) out.push_back(text("  "));
    out.push_back(drawn_text(cell_text(one.cells[i], widths[i], rows.columns[i], unicode),
                             one.cells[i].look));
  }
  Element line = hbox(std::move(out));
  return selected && focused ? line | inverted : line;
}

Element head(const table& rows, const std::vector<std::size_t>& widths, const sorting& order) {
  std::string out = " ";
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] == 0) continue;
    if (out.size() > 1) out += "  ";
    std::string title = rows.columns[i].title;
    if (order.column == static_cast<int>(i))
      title = cut(title, widths[i] > 1 ? widths[i] - 1 : 1) + (order.down ? "v" : "^");
    out += padded(title, widths[i], rows.columns[i].right);
  }
  return text(out) | dim;
}

}  // namespace

Element drawn_text(const std::string& words, tone look) {
  Element out = text(words);
  switch (look) {
    case tone::plain:
      return out;
    case tone::good:
      return out | color(Color::Green);
    case tone::warn:
      return out | color(Color::Yellow);
    case tone::bad:
      return out | color(Color::Red) | bold;
    case tone::faint:
      return out | dim;
    case tone::strong:
      break;
  }
  return out | bold;
}

Element drawn_line(const std::vector<piece>& pieces) {
  Elements out;
  for (const piece& one : pieces) out.push_back(drawn_text(one.text, one.look));
  return hbox(std::move(out));
}

std::string mark_of(tone look, bool unicode) {
  switch (look) {
    case tone::bad:
      return " !! ";
    case tone::warn:
      return " !  ";
    case tone::good:
      return unicode ? " ✓  " : " ok ";
    default:
      return unicode ? " ·  " : " -  ";
  }
}

Element drawn_panel(const console_state& state, const shown& what, const placed& where,
                    bool titled) {
  table rows = rows_of(state, what, where.which);
  const panel_view& view = state.views[static_cast<std::size_t>(where.which)];
  const bool focused = where.which == state.focus;
  const std::size_t count = rows.rows.size(), fits = rows_in(where.height);
  const std::vector<std::size_t> widths = widths_of(rows, where.width > 2 ? where.width - 2 : 1);
  std::size_t top = focused ? view.top : 0;
  if (!focused && view.follows) top = count > fits ? count - fits : 0;
  top = std::min(top, count);

  Elements out;
  std::string about;
  if (!view.filter.empty()) about += "  filter: " + printable(view.filter);
  if (count > fits)
    about += "  " + std::to_string(top + 1) + "-" + std::to_string(std::min(top + fits, count)) +
             " of " + std::to_string(count);
  if (titled) {
    const std::string name =
        std::to_string(static_cast<int>(where.which) + 1) + " " + name_of(where.which);
    Element title = text((focused ? "[" : " ") + name + (focused ? "]" : " ")) | bold;
    const std::size_t used = name.size() + 3 + width_of(about);
    std::string rule;
    for (std::size_t i = used; i < where.width; ++i) rule += state.unicode ? "─" : "-";
    out.push_back(hbox({title, text(about), text(" " + rule) | dim}) |
                  size(WIDTH, EQUAL, static_cast<int>(where.width)));
    out.push_back(head(rows, widths, view.order) |
                  size(WIDTH, EQUAL, static_cast<int>(where.width)));
  } else {
    out.push_back(head(rows, widths, view.order) |
                  size(WIDTH, EQUAL, static_cast<int>(where.width)));
    out.push_back(text(about.empty() ? "" : " " + about) | dim);
  }
  for (std::size_t i = top; i < count && i < top + fits; ++i)
    out.push_back(
        drawn_row(rows.rows[i], rows, widths, focused && i == view.index, focused, state.unicode) |
        size(WIDTH, EQUAL, static_cast<int>(where.width)));
  if (count == 0)
    out.push_back(text(" " + cut(rows.empty, where.width > 1 ? where.width - 1 : 1)) | dim);
  while (out.size() < where.height) out.push_back(text(std::string(where.width, ' ')));
  if (!titled)
    std::rotate(out.begin() + 1, out.begin() + 2,
                out.end());  // what is left out is told below the rows
  return vbox(std::move(out)) | size(HEIGHT, EQUAL, static_cast<int>(where.height));
}

}  // namespace troupe::console
