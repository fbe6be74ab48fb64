#include "tools/console/snapshot.hpp"

#include "tools/console/screen.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

void trim_right(std::string& text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
}

void add(std::string& out, const console_state& state, const shown& what, panel which) {
  const table rows = rows_of(state, what, which);
  out += "\n" + std::string(name_of(which)) + "\n";
  if (rows.rows.empty()) {
    out += "  " + rows.empty + "\n";
    return;
  }
  std::vector<std::size_t> widths;
  std::vector<bool> seen;
  for (std::size_t i = 0; i < rows.columns.size(); ++i) {
    std::size_t width = width_of(rows.columns[i].title);
    bool any = false;
    for (const row& one : rows.rows)
      if (i < one.cells.size())
        width = std::max(width, width_of(one.cells[i].text)), any |= !one.cells[i].text.empty();
    widths.push_back(width);
    seen.push_back(any);
  }
  const auto add_line = [&](const auto& text_of) {
    std::string text = " ";
    for (std::size_t i = 0; i < widths.size(); ++i)
      if (seen[i]) text += " " + padded(text_of(i), widths[i], rows.columns[i].right) + " ";
    trim_right(text);
    out += text + "\n";
  };
  add_line([&](std::size_t i) { return rows.columns[i].title; });
  for (const row& one : rows.rows)
    add_line(
        [&](std::size_t i) { return i < one.cells.size() ? one.cells[i].text : std::string(); });
}

}  // namespace

std::string snapshot(const console_state& state) {
  const shown what = shown_by(state);
  const proto::ClusterTotals& totals = what.picture().totals();
  std::string out = std::to_string(totals.nodes_up()) + "/" + std::to_string(totals.nodes()) +
                    " nodes up, " + count_text(totals.jobs_running(), "job", "jobs") + ", " +
                    rate_text(totals.tokens_per_second()) + " tokens/s";
  const proto::Percentiles& first = totals.first_token_seconds();
  if (first.count() > 0)
    out += ", first token P50 " + duration_text(first.p50()) + " P95 " +
           duration_text(first.p95()) + " P99 " + duration_text(first.p99());
  out += ", told by " + printable(what.picture().answered_by()) + " at " +
         clock_text(what.when.at_us) + "\n";
  for (const finding& one : findings_said(state))
    out += std::string(one.look == tone::bad    ? "!! "
                       : one.look == tone::warn ? "!  "
                                                : "-  ") +
           one.text + "\n";
  for (const panel one : panels) add(out, state, what, one);
  return out;
}

}  // namespace troupe::console
