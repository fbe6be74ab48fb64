#include "tools/console/performing.hpp"

#include <algorithm>

#include "tools/console/actions.hpp"
#include "tools/console/cluster_tables.hpp"
#include "tools/console/findings.hpp"
#include "tools/console/screen.hpp"
#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

template <class Part>
const Part* found_if(const proto::ClusterPicture& picture, const std::string& id,
                     const Part* (*in)(const proto::NodePart&, const std::string&)) {
  for (const proto::NodePart& node : picture.nodes())
    if (const Part* part = in(node, id)) return part;
  return nullptr;
}

const proto::JobShown* job_in(const proto::NodePart& node, const std::string& id) {
  for (const proto::JobShown& job : node.jobs())
    if (job.job_id() == id) return &job;
  return nullptr;
}

const proto::NodePart* node_in(const proto::NodePart& node, const std::string& id) {
  return node.node() == id ? &node : nullptr;
}

bool is_past(console_state& state, const char* what) {
  if (!state.looking_at_us) return false;
  tell(state, std::string("You look at the past: press 0 for now, then ") + what + ".", tone::warn);
  return true;
}

void ask(console_state& state, confirmation what) {
  state.before_confirming = state.doing;
  state.doing = mode::confirming;
  state.asked = std::move(what);
}

void ask_drain(console_state& state) {
  if (is_past(state, "drain")) return;
  const shown now = shown_by(state);
  const proto::NodePart* node = found_if(now.picture(), state.view().selected, node_in);
  if (!node) return tell(state, "Select a node to drain it.", tone::warn);
  if (!node->up())
    return tell(state, printable(node->node()) + " is down: there is nothing to drain.",
                tone::warn);
  const worker_load load = load_of(now.picture(), *node);
  ask(state,
      {drain_node{node->node()}, "Drain " + printable(node->node()) + "?",
       "It takes no new jobs, lets its " + count_text(load.running + load.waiting, "job", "jobs") +
           " end, and its process exits."});
}

void ask_cancel(console_state& state) {
  if (is_past(state, "cancel")) return;
  const std::string id = state.doing == mode::story ? state.open_id : state.view().selected;
  const shown now = shown_by(state);
  const proto::JobShown* job = found_if(now.picture(), id, job_in);
  if (!job) return tell(state, "That job has ended: there is nothing to cancel.", tone::warn);
  ask(state, {cancel_job{*job}, "Cancel job " + job_text(job->job_id()) + "?",
              "Its client gets the " + count_text(job->answer_tokens(), "token", "tokens") +
                  " that it has, and no more."});
}

void ask_unload(console_state& state) {
  if (is_past(state, "unload")) return;
  const shown now = shown_by(state);
  for (const proto::NodePart& node : now.picture().nodes())
    for (const proto::ModelDescription& model : node.status().models()) {
      if ("model " + node.node() + " " + model.digest() != state.view().selected) continue;
      if (model.state() != proto::READY)
        return tell(state,
                    printable(model.name()) + " is not loaded at " + printable(node.node()) + ".",
                    tone::warn);
      return ask(
          state,
          {unload_model{node.node(), model.digest(), model.name()},
           "Unload " + printable(model.name()) + " at " + printable(node.node()) + "?",
           "Its " + bytes_text(static_cast<double>(model.weight_bytes() + model.kv_bytes())) +
               " become free; the next job there loads it again."});
    }
  tell(state, "Select a model to unload it.", tone::warn);
}

void look_at(console_state& state, std::int64_t by_us) {
  const std::uint64_t newest = state.now_us;
  const auto from = static_cast<std::int64_t>(state.looking_at_us.value_or(newest));
  const std::int64_t to = from + by_us;
  if (to >= static_cast<std::int64_t>(newest)) {
    state.looking_at_us.reset();
    return;
  }
  const std::uint64_t oldest = state.pictures.oldest_us(state.now_us);
  state.looking_at_us = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(to, 0)), oldest);
}

void open_selected(console_state& state, std::vector<effect>& out) {
  if (state.view().selected.empty()) return;
  state.open_id = state.view().selected;
  state.scroll = 0;
  if (state.focus != panel::jobs) {
    state.doing = mode::detail;
    return;
  }
  state.doing = mode::story;
  state.story.reset();
  state.story_problem.clear();
  out.push_back(read_story{state.open_id});
}

void move(console_state& state, std::int64_t by) {
  const bool page =
      state.doing == mode::help || state.doing == mode::detail || state.doing == mode::story;
  std::size_t& at = page ? state.scroll : state.view().index;
  const auto to = static_cast<std::int64_t>(at) + by;
  at = static_cast<std::size_t>(std::max<std::int64_t>(to, 0));  // settle() bounds it below
  if (!page) {
    state.view().selected.clear();
    state.view().follows = state.focus == panel::log && by > 0 && state.view().follows;
  }
}

void go_to(console_state& state, std::size_t which) {
  state.focus = panels[which % std::size(panels)];
}

void sort_next(console_state& state) {
  const auto columns =
      static_cast<int>(rows_of(state, shown_by(state), state.focus).columns.size());
  sorting& order = state.view().order;
  order.column = order.column + 1 >= columns ? -1 : order.column + 1;
  order.down = false;
}

void erase_character(std::string& text) {
  while (!text.empty() && (text.back() & 0xc0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

}  // namespace

void tell(console_state& state, std::string text, tone look) {
  state.notice = std::move(text);
  state.notice_look = look;
  state.notice_until_us = state.now_us + notice_us;
}

std::vector<effect> press(console_state& state, const key_press& pressed) {
  constexpr std::int64_t to_the_end = 1'000'000'000;
  const auto page =
      static_cast<std::int64_t>(std::max<std::size_t>(focused_rows_max(state), 2) - 1);
  std::vector<effect> out;
  switch (act_of(state.doing, state.focus, pressed)) {
    case act::nothing:
      break;
    case act::quit:
      out.push_back(quit{});
      break;
    case act::help:
      if (state.doing == mode::story) out.push_back(read_story{});
      state.doing = mode::help;
      state.scroll = 0;
      break;
    case act::close:
      if (state.doing == mode::story) out.push_back(read_story{});
      state.doing = mode::panels;
      state.story.reset();
      break;
    case act::next_panel:
      go_to(state, static_cast<std::size_t>(state.focus) + 1);
      break;
    case act::previous_panel:
      go_to(state, static_cast<std::size_t>(state.focus) + std::size(panels) - 1);
      break;
    case act::go_to_panel:
      go_to(state, static_cast<std::size_t>(pressed.character[0] - '1'));
      break;
    case act::row_up:
      move(state, -1);
      break;
    case act::row_down:
      move(state, 1);
      break;
    case act::page_up:
      move(state, -page);
      break;
    case act::page_down:
      move(state, page);
      break;
    case act::first_row:
      move(state, -to_the_end);
      break;
    case act::last_row:
      move(state, to_the_end);
      if (state.doing == mode::panels && state.focus == panel::log) state.view().follows = true;
      break;
    case act::open:
      open_selected(state, out);
      break;
    case act::filter:
      state.filter_before = state.view().filter;
      state.doing = mode::filtering;
      break;
    case act::clear_filter:
      state.view().filter.clear();
      break;
    case act::sort_next:
      sort_next(state);
      break;
    case act::sort_reverse:
      state.view().order.column = std::max(state.view().order.column, 0);
      state.view().order.down = !state.view().order.down;
      break;
    case act::pause:
      if (state.looking_at_us)
        state.looking_at_us.reset();
      else
        state.looking_at_us = state.now_us;
      break;
    case act::back:
      look_at(state, -static_cast<std::int64_t>(step_small_us));
      break;
    case act::forward:
      look_at(state, static_cast<std::int64_t>(step_small_us));
      break;
    case act::back_far:
      look_at(state, -static_cast<std::int64_t>(step_large_us));
      break;
    case act::forward_far:
      look_at(state, static_cast<std::int64_t>(step_large_us));
      break;
    case act::now:
      state.looking_at_us.reset();
      break;
    case act::level:
      state.log_level = state.log_level >= proto::LEVEL_ERROR
                            ? proto::LEVEL_DEBUG
                            : static_cast<proto::LogLevel>(state.log_level + 1);
      state.log.clear();
      tell(state, std::string("Log lines from ") + level_text(state.log_level) + " on.",
           tone::plain);
      out.push_back(read_log{state.log_level});
      break;
    case act::drain:
      ask_drain(state);
      break;
    case act::cancel:
      ask_cancel(state);
      break;
    case act::unload:
      ask_unload(state);
      break;
    case act::agree:
      out.push_back(state.asked->what);
      tell(state, "Asked: " + state.asked->question, tone::plain);
      state.asked.reset();
      state.doing = state.before_confirming;
      break;
    case act::refuse:
      tell(state, "Nothing was done.", tone::plain);
      state.asked.reset();
      state.doing = state.before_confirming;
      break;
    case act::type:
      if (state.view().filter.size() + pressed.character.size() <= filter_bytes_max)
        state.view().filter += pressed.character;
      break;
    case act::erase:
      erase_character(state.view().filter);
      break;
    case act::keep_filter:
      state.doing = mode::panels;
      break;
    case act::drop_filter:
      state.view().filter = state.filter_before;
      state.doing = mode::panels;
      break;
  }
  return out;
}

std::size_t focused_rows_max(const console_state& state) {
  for (const placed& one : layout_by(state))
    if (one.which == state.focus) return rows_in(one.height);
  return 1;
}

void settle(console_state& state) {
  const std::size_t lines = page_lines(state).size(),
                    fits = body_height(state.height, findings_by(state).size()) - 1;
  state.scroll = std::min(state.scroll, lines > fits ? lines - fits : 0);
  panel_view& view = state.view();
  const table rows = rows_of(state, shown_by(state), state.focus);
  const std::size_t count = rows.rows.size(), visible = focused_rows_max(state);
  if (count == 0) {
    view.index = view.top = 0;
    view.selected.clear();
    return;
  }
  if (view.follows) {
    view.index = count - 1;
  } else if (!view.selected.empty()) {
    for (std::size_t i = 0; i < count; ++i)
      if (rows.rows[i].id == view.selected) {
        view.index = i;
        break;
      }
  }
  view.index = std::min(view.index, count - 1);
  view.selected = rows.rows[view.index].id;
  view.top = std::min(view.top, count > visible ? count - visible : 0);
  if (view.index < view.top) view.top = view.index;
  if (view.index >= view.top + visible) view.top = view.index + 1 - visible;
}

}  // namespace troupe::console
