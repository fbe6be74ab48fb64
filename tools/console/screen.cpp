#include "tools/console/screen.hpp"

#include <algorithm>

#include "tools/console/actions.hpp"
#include "tools/console/sparkline.hpp"
#include "tools/console/story_lines.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

std::vector<line> help_lines() {
  std::vector<line> out = {{{"What the keys do", tone::strong}}, {}};
  for (const key_help& one : all_keys())
    out.push_back(
        {{"  " + padded(one.keys, 32, false), tone::strong}, {std::string(" ") + one.meaning}});
  out.push_back({});
  out.push_back(
      {{"The lines at the top say what is worth a look: what is down, what is slow, who waits and "
        "why."}});
  out.push_back(
      {{"A slow node has twice the others' time to the first token, or three times their queue."}});
  out.push_back(
      {{"1ST TOKEN is the median of requests taken in there; RUN and WAIT are those worked on "
        "there."}});
  return out;
}

void add_wrapped(const cell& what, std::size_t width, const std::string& title,
                 std::vector<line>& out) {
  std::string lead = "  " + padded(title, 16, false) + " ";
  for (const std::string& part :
       wrapped(what.text, width > lead.size() + 10 ? width - lead.size() : 10)) {
    out.push_back({{lead, tone::faint}, {part, what.look}});
    lead.assign(lead.size(), ' ');
  }
}

void add_series(const console_state& state, const std::string& node, std::uint64_t at_us,
                std::vector<line>& out) {
  const std::size_t width =
      std::clamp<std::size_t>(state.width > 60 ? state.width - 56 : 10, 10, 90);
  out.push_back({});
  out.push_back({{"The last " + duration_text(static_cast<double>(width) * 2), tone::strong}});
  for (const proto::NodeHistory& one : state.pictures.history().nodes()) {
    if (one.node() != node) continue;
    for (const proto::Series& series : one.series()) {
      const std::vector<float> values =
          values_of(state.pictures.history(), node, series.name(), at_us, width);
      const float last = values.empty() ? NAN : values.back();
      const std::string name = series.name();
      std::string text = rate_text(last);
      if (name.ends_with("_share")) text = share_text(last);
      if (name.ends_with("_seconds")) text = duration_text(last);
      if (name.ends_with("_bytes")) text = bytes_text(last);
      if (series.unit().starts_with("byte") && name.ends_with("_per_second"))
        text = bytes_text(last) + "/s";
      out.push_back({{"  " + padded(printable(name), 28, false) + " ", tone::faint},
                     {sparkline(values, 0, state.unicode), tone::good},
                     {" " + padded(text, 12, true)}});
    }
  }
}

std::vector<line> detail_lines(const console_state& state) {
  const shown what = shown_by(state);
  const table rows = rows_of(state, what, state.focus);
  const auto found = std::find_if(rows.rows.begin(), rows.rows.end(),
                                  [&](const row& one) { return one.id == state.open_id; });
  if (found == rows.rows.end()) return {{{"It is gone (Esc goes back).", tone::warn}}};
  std::vector<line> out;
  for (std::size_t i = 0; i < rows.columns.size() && i < found->cells.size(); ++i) {
    const cell& part = found->cells[i];
    if (part.text.empty()) continue;
    add_wrapped(part, state.width, rows.columns[i].title, out);
  }
  if (state.focus != panel::nodes) return out;
  for (const proto::NodePart& node : what.picture().nodes()) {
    if (node.node() != state.open_id) continue;
    add_wrapped({printable(node.status().address())}, state.width, "ADDRESS", out);
    add_wrapped({printable(node.status().version())}, state.width, "VERSION", out);
    add_wrapped({bytes_text(static_cast<double>(node.status().disk_bytes_free()))}, state.width,
                "DISK FREE", out);
    if (const std::string reason = reason_of(node); reason.size() > 2)
      add_wrapped({reason.substr(2), tone::warn}, state.width, "WORTH A LOOK", out);
  }
  add_series(state, state.open_id, what.when.at_us, out);
  return out;
}

}  // namespace

std::vector<finding> findings_said(const console_state& state) {
  std::vector<finding> out;
  if (!state.pictures.newest()) {
    const std::string at = state.at.empty() ? "" : " from " + printable(state.at);
    if (state.no_answer.empty() && silent_seconds(state) == 0)
      return {{tone::plain, "Asking" + at + " ..."}};
    out.push_back({tone::bad, "No answer" + at + " for " + duration_text(silent_seconds(state)) +
                                  "; trying again."});
    if (!state.no_answer.empty()) out.push_back({tone::plain, state.no_answer});
    return out;
  }
  if (const double seconds = silent_seconds(state); seconds > 0)
    out.push_back({tone::bad, "No answer for " + duration_text(seconds) +
                                  ": this is how it was at " +
                                  clock_text(state.pictures.newest_us()) + "." +
                                  (state.no_answer.empty() ? "" : " " + state.no_answer)});
  const shown what = shown_by(state);
  if (what.when.picture)
    for (finding& one : findings_of(what.picture())) out.push_back(std::move(one));
  return out;
}

std::vector<finding> findings_by(const console_state& state) {
  constexpr std::size_t lines_each_max = 2, mark_width = 4;
  const std::size_t width = state.width > mark_width + 10 ? state.width - mark_width : 10;
  std::vector<finding> out;
  for (const finding& one : findings_said(state)) {
    const std::vector<std::string> lines = wrapped(one.text, width);
    for (std::size_t i = 0; i < lines.size() && i < lines_each_max; ++i) {
      const bool more = i + 1 == lines_each_max && lines.size() > lines_each_max;
      out.push_back({one.look, more ? cut(lines[i] + " " + lines[i + 1], width) : lines[i], i > 0});
    }
  }
  return out;
}

std::vector<placed> layout_by(const console_state& state) {
  std::array<std::size_t, std::size(panels)> rows{};
  const shown what = shown_by(state);
  for (const panel one : {panel::nodes, panel::links, panel::models, panel::caches})
    rows[static_cast<std::size_t>(one)] =
        std::max<std::size_t>(rows_of(state, what, one).rows.size(), 1);
  return layout_of(state.width, body_height(state.height, findings_by(state).size()), state.focus,
                   rows);
}

std::vector<line> page_lines(const console_state& state) {
  const mode doing = state.doing == mode::confirming ? state.before_confirming : state.doing;
  switch (doing) {
    case mode::help:
      return help_lines();
    case mode::detail:
      return detail_lines(state);
    case mode::story:
      break;
    default:
      return {};
  }
  if (state.story) {
    std::vector<line> out =
        story_lines(*state.story, state.width > 2 ? state.width - 2 : 1, state.unicode);
    if (!state.story_problem.empty()) out.insert(out.begin(), {{state.story_problem, tone::warn}});
    return out;
  }
  if (!state.story_problem.empty()) return {{{state.story_problem, tone::warn}}};
  return {{{"Asking for the story of job " + job_text(state.open_id) + " ...", tone::faint}}};
}

std::string when_text(const console_state& state) {
  if (!state.looking_at_us) return "now";
  const double ago =
      static_cast<double>(state.now_us - std::min(state.now_us, *state.looking_at_us)) / 1e6;
  return "PAUSED at " + clock_text(*state.looking_at_us) + ", " + ago_text(ago) + " ago";
}

}  // namespace troupe::console
