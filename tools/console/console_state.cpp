#include "tools/console/console_state.hpp"

#include <algorithm>

#include "tools/console/actions.hpp"
#include "tools/console/performing.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

template <class... Cases>
struct cases : Cases... {
  using Cases::operator()...;
};

void add_log(console_state& state, const log_heard& heard) {
  for (const proto::LogLine& line : heard.lines) state.log.push_back(line);
  state.log_dropped += heard.dropped;
  while (state.log.size() > log_lines_max) state.log.pop_front();
  // Nodes answer one after another: what came late belongs further up.
  std::stable_sort(state.log.begin(), state.log.end(), [](const auto& left, const auto& right) {
    return left.at_us() < right.at_us();
  });
}

}  // namespace

console_state::console_state() {
  views[static_cast<std::size_t>(panel::log)].follows = true;
}

double silent_seconds(const console_state& state) {
  const std::uint64_t last = state.pictures.newest() ? state.pictures.newest_us() : state.begun_us;
  const std::uint64_t since = state.now_us - std::min(state.now_us, last);
  return since < silent_after_us ? 0 : static_cast<double>(since) / 1e6;
}

shown shown_by(const console_state& state) {
  shown out;
  if (state.looking_at_us)
    out.when = state.pictures.at(*state.looking_at_us);
  else
    out.when = {state.pictures.newest(), state.pictures.newest_us(), false};
  return out;
}

table rows_of(const console_state& state, const shown& what, panel which) {
  scene from{what.picture(), state.pictures.history(), state.log, what.when.at_us};
  if (state.looking_at_us) from.log_until_us = *state.looking_at_us;
  const panel_view& view = state.views[static_cast<std::size_t>(which)];
  if (which != state.focus && view.filter.empty())
    from.log_rows_max = state.height;  // no more are seen
  table out = table_of(which, from);
  if (what.when.from_series && which != panel::nodes && which != panel::log) {
    out.rows.clear();
    out.empty = "Before this console began: only the nodes' series are known of that time.";
  } else if (!what.when.picture && which != panel::log) {
    out.empty = state.looking_at_us ? "Nothing is known of that time." : "Nothing was heard yet.";
  }
  filter(out, view.filter);
  sort(out, view.order);
  return out;
}

std::vector<effect> step(console_state& state, const event& happened) {
  state.now_us = happened.now_us;
  if (state.begun_us == 0) state.begun_us = happened.now_us;
  if (!state.notice.empty() && state.now_us >= state.notice_until_us) state.notice.clear();
  std::vector<effect> out;
  std::visit(cases{
                 [&](const key_press& pressed) { out = press(state, pressed); },
                 [&](const picture_heard& heard) {
                   state.pictures.add(heard.picture, happened.now_us);
                   state.no_answer.clear();
                 },
                 [&](const picture_missed& missed) { state.no_answer = printable(missed.why); },
                 [&](const history_heard& heard) { state.pictures.add(heard.history); },
                 [&](const log_heard& heard) { add_log(state, heard); },
                 [&](const story_heard& heard) {
                   if (state.doing != mode::story && state.before_confirming != mode::story) return;
                   if (heard.job_id != state.open_id) return;
                   state.story = heard.story;
                   state.story_problem.clear();
                 },
                 [&](const story_missed& missed) {
                   if (missed.job_id == state.open_id) state.story_problem = printable(missed.why);
                 },
                 [&](const action_ended& ended) {
                   tell(state, printable(ended.text), ended.well ? tone::good : tone::bad);
                 },
                 [&](const resized& size) {
                   state.width = std::clamp(size.width, 1u, 1000u);
                   state.height = std::clamp(size.height, 1u, 500u);
                 },
                 [](const ticked&) {},
             },
             happened.what);
  settle(state);
  return out;
}

}  // namespace troupe::console
