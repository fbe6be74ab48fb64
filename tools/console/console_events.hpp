// What happens to the console, and what it asks for: the words between the pure state and the
// shell.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tools/console/timeline.hpp"

namespace troupe::console {

enum class key {
  character,
  up,
  down,
  left,
  right,
  page_up,
  page_down,
  home,
  end,
  enter,
  escape,
  tab,
  back_tab,
  backspace,
  interrupt,  // Ctrl-C
};

struct key_press {
  key what = key::character;
  std::string character = {};  // one UTF-8 character
  bool operator==(const key_press&) const = default;
};

struct picture_heard {
  picture_ptr picture;
};
struct picture_missed {
  std::string why;
};
struct history_heard {
  history_ptr history;
};
struct log_heard {
  std::vector<proto::LogLine> lines;
  std::uint64_t dropped = 0;
};
struct story_heard {
  std::string job_id;
  std::shared_ptr<const proto::JobStory> story;
};
struct story_missed {
  std::string job_id, why;
};
struct action_ended {
  std::string text;
  bool well = true;
};
struct resized {
  unsigned width = 80, height = 24;
};
struct ticked {};

struct event {
  std::uint64_t now_us = 0;  // this machine's wall clock
  std::variant<key_press, picture_heard, picture_missed, history_heard, log_heard, story_heard,
               story_missed, action_ended, resized, ticked>
      what;
};

struct quit {};
struct read_story {
  std::string job_id;  // empty: none any more
};
struct read_log {
  proto::LogLevel level = proto::LEVEL_INFO;
};
struct drain_node {
  std::string node;
};
struct cancel_job {
  proto::JobShown job;
};
struct unload_model {
  std::string node, digest, name;
};

using effect = std::variant<quit, read_story, read_log, drain_node, cancel_job, unload_model>;

}  // namespace troupe::console
