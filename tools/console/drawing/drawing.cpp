#include <algorithm>
#include <ftxui/dom/elements.hpp>
#include <ftxui/screen/color.hpp>
#include <ftxui/screen/screen.hpp>
#include <ftxui/screen/terminal.hpp>

#include "tools/console/drawing/pieces.hpp"
#include "tools/console/drawn.hpp"
#include "tools/console/screen.hpp"
#include "tools/console/sparkline.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

using namespace ftxui;

constexpr std::size_t header_values = 30;

Element header(const console_state& state, const shown& what) {
  const proto::ClusterPicture& picture = what.picture();
  const proto::ClusterTotals& totals = picture.totals();
  const std::size_t width = state.width;
  std::vector<piece> left = {{width >= 100 ? " troupe " : "", tone::strong}};
  if (what.when.picture) {
    const bool all = totals.nodes_up() == totals.nodes();
    left.push_back({" " + std::to_string(totals.nodes_up()) + "/" + std::to_string(totals.nodes()) +
                        " nodes up",
                    all ? tone::good : tone::bad});
    left.push_back({"  " + count_text(totals.jobs_running(), "job", "jobs")});
    left.push_back({"  " + rate_text(totals.tokens_per_second()) + " tok/s "});
    const std::size_t values = width >= 140 ? header_values : width >= 100 ? 16 : 5;
    left.push_back({sparkline(thinned(sum_of(state.pictures.history(), "tokens_per_second",
                                             what.when.at_us, values * 2),
                                      2),
                              0, state.unicode),
                    tone::good});
    const auto three = [](const proto::Percentiles& of) {
      return duration_text(of.p50()) + "/" + duration_text(of.p95()) + "/" +
             duration_text(of.p99());
    };
    if (totals.first_token_seconds().count() > 0)
      left.push_back({(width >= 100 ? "  first token P50/95/99 " : "  1st token P50/95/99 ") +
                      three(totals.first_token_seconds())});
    if (width >= 140 && totals.inter_token_seconds().count() > 0)
      left.push_back({"  next token " + three(totals.inter_token_seconds())});
  }
  const std::string when = when_text(state) + " ";
  std::size_t used = 0;
  for (const piece& one : left) used += width_of(one.text);
  Element end = state.looking_at_us ? text(when) | inverted
                                    : text(used + width_of(when) + 1 <= width ? when : "");
  return hbox({drawn_line(left), filler(), end});
}

Element tabs(const console_state& state) {
  Elements out = {text(" ")};
  const bool narrow = state.width < 76;
  for (std::size_t i = 0; i < std::size(panels); ++i) {
    const std::string name = std::to_string(i + 1) + " " + name_of(panels[i]);
    const bool here = panels[i] == state.focus;
    Element one =
        text(here ? "[" + name + "]" : " " + (narrow ? std::to_string(i + 1) : name) + " ");
    out.push_back(here ? one | bold : one | dim);
  }
  return hbox(std::move(out));
}

Element footer(const console_state& state) {
  if (state.doing == mode::filtering)
    return hbox({text(" Filter " + std::string(name_of(state.focus)) + ": ") | bold,
                 text(printable(state.view().filter)), text("_") | inverted,
                 text("   Enter keeps it, Esc does not") | dim});
  if (!state.notice.empty())
    return drawn_line({{" " + state.notice,
                        state.notice_look == tone::plain ? tone::strong : state.notice_look}});
  if (state.doing == mode::help || state.doing == mode::detail)
    return text(" Esc back   Up/Down scroll") | dim;
  if (state.doing == mode::story)
    return text(" Esc back   Up/Down scroll   c cancel the job") | dim;
  std::string keys = " ? help  q quit  Tab panel  / filter  s sort  Space pause  Left back";
  if (state.looking_at_us) keys = " Left/Right 10 s  [ ] 1 min  0 now  ? help";
  switch (state.focus) {
    case panel::nodes:
      keys += "  Enter open  d drain";
      break;
    case panel::jobs:
      keys += "  Enter story  c cancel";
      break;
    case panel::models:
      keys += "  u unload";
      break;
    case panel::log:
      keys += std::string("  l level: ") + level_text(state.log_level);
      break;
    default:
      break;
  }
  return text(cut(keys, state.width)) | dim;
}

Element page(const console_state& state, std::size_t height) {
  const std::vector<line> lines = page_lines(state);
  Elements out;
  for (std::size_t i = state.scroll; i < lines.size() && out.size() + 1 < height; ++i) {
    std::vector<piece> one = lines[i];
    one.insert(one.begin(), {" "});
    out.push_back(drawn_line(one));
  }
  while (out.size() + 1 < height) out.push_back(text(""));
  const std::size_t shown = std::min(lines.size(), state.scroll + height - 1);
  out.push_back(text(shown < lines.size()
                         ? " " + std::to_string(lines.size() - shown) + " more lines below"
                         : "") |
                dim);
  return vbox(std::move(out));
}

Element body(const console_state& state, const shown& what, std::size_t height) {
  const mode doing = state.doing == mode::confirming ? state.before_confirming : state.doing;
  if (doing == mode::help || doing == mode::detail || doing == mode::story)
    return page(state, height);
  const std::vector<placed> places = layout_by(state);
  Elements left, right;
  for (const placed& one : places)
    (one.column == 0 ? left : right).push_back(drawn_panel(state, what, one, places.size() > 1));
  if (right.empty()) return vbox(std::move(left));
  Elements bar;
  while (bar.size() < height) bar.push_back(text(state.unicode ? " │ " : " | ") | dim);
  return hbox({vbox(std::move(left)), vbox(std::move(bar)), vbox(std::move(right))});
}

Element dialog(const console_state& state) {
  const std::size_t width = std::min<std::size_t>(state.width > 4 ? state.width - 4 : 1, 76);
  Elements lines = {text(" " + padded(state.asked->question, width, false) + " ") | bold, text("")};
  for (const std::string& part : wrapped(state.asked->consequence, width))
    lines.push_back(text(" " + padded(part, width, false) + " "));
  lines.push_back(text(""));
  lines.push_back(hbox({text(" y") | bold,
                        text(padded(" does it. Any other key: nothing is done.", width, false))}));
  return vbox(std::move(lines)) | inverted | clear_under | center;
}

}  // namespace

status can_draw() {
  return {};
}

std::vector<std::string> drawn(const console_state& state, colours how) {
  Terminal::SetColorSupport(how == colours::none ? Terminal::Color::Palette1
                                                 : Terminal::Color::Palette16);
  const shown what = shown_by(state);
  Elements lines = {header(state, what)};
  const std::vector<finding> findings = findings_by(state);
  for (std::size_t i = 0; i < findings_shown(state.height, findings.size()); ++i)
    lines.push_back(
        drawn_line({{findings[i].goes_on ? "    " : mark_of(findings[i].look, state.unicode),
                     findings[i].look},
                    {findings[i].text, findings[i].look}}));
  lines.push_back(tabs(state));
  const std::size_t height = body_height(state.height, findings.size());
  lines.push_back(body(state, what, height));
  lines.push_back(footer(state));
  Element document = vbox(std::move(lines));
  if (state.asked) document = dbox({document, dialog(state)});
  Screen screen = Screen::Create(Dimension::Fixed(static_cast<int>(state.width)),
                                 Dimension::Fixed(static_cast<int>(state.height)));
  Render(screen, document);
  std::vector<std::string> out;
  const std::string all = screen.ToString();
  for (std::size_t at = 0; at <= all.size();) {
    const std::size_t end = std::min(all.find("\r\n", at), all.size());
    out.push_back(all.substr(at, end - at));
    at = end + 2;
  }
  out.resize(state.height);
  return out;
}

}  // namespace troupe::console
