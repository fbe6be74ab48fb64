// All that the console knows and shows. step() is its only way to change; drawing is a function of
// it. Pure: no clock, no terminal, no cluster.
//
// Bounds: the timeline's, log_lines_max, and what proto/telemetry.proto bounds.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "tools/console/console_events.hpp"
#include "tools/console/scene.hpp"
#include "tools/console/timeline.hpp"

namespace troupe::console {

inline constexpr std::size_t log_lines_max = 4000;
inline constexpr std::size_t filter_bytes_max = 120;
inline constexpr std::uint64_t silent_after_us = 2'500'000;
inline constexpr std::uint64_t notice_us = 8'000'000;
inline constexpr std::uint64_t step_small_us = 10'000'000, step_large_us = 60'000'000;

enum class mode { panels, filtering, help, detail, story, confirming };

struct panel_view {
  std::string filter;
  sorting order;
  std::string selected;   // id of a row; it stays selected wherever it goes
  std::size_t index = 0;  // of it
  std::size_t top = 0;    // first row that is seen
  bool follows = false;   // keeps to the last row
};

struct confirmation {
  effect what;
  std::string question, consequence;
};

struct console_state {
  unsigned width = 80, height = 24;
  std::uint64_t now_us = 0;
  bool unicode = true;  // else ASCII only
  std::string at;       // the addresses that were given

  timeline pictures;
  std::deque<proto::LogLine> log;
  proto::LogLevel log_level = proto::LEVEL_INFO;
  std::uint64_t log_dropped = 0;
  std::optional<std::uint64_t> looking_at_us;  // paused or scrolled back; nullopt: now

  panel focus = panel::nodes;
  std::array<panel_view, std::size(panels)> views;
  mode doing = mode::panels;
  mode before_confirming = mode::panels;
  std::string filter_before;
  std::size_t scroll = 0;  // of help, detail and story

  std::optional<confirmation> asked;
  std::string open_id;  // the job or row that is looked at
  std::shared_ptr<const proto::JobStory> story;
  std::string story_problem;

  std::string notice;
  tone notice_look = tone::plain;
  std::uint64_t notice_until_us = 0;

  std::uint64_t begun_us = 0;
  std::string no_answer;  // why the last question had none; empty: it had one

  console_state();
  panel_view& view() { return views[static_cast<std::size_t>(focus)]; }
  const panel_view& view() const { return views[static_cast<std::size_t>(focus)]; }
};

std::vector<effect> step(console_state& state, const event& what);

// What it shows now.
struct shown {
  moment when;
  proto::ClusterPicture nothing = {};
  const proto::ClusterPicture& picture() const& { return when.picture ? *when.picture : nothing; }
  const proto::ClusterPicture& picture() const&& = delete;  // it may lie in this
};
shown shown_by(const console_state& state);
// Filtered and sorted.
table rows_of(const console_state& state, const shown& what, panel which);

double silent_seconds(const console_state& state);  // since the last answer; 0: it is fresh

}  // namespace troupe::console
