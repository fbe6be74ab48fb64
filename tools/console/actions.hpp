// What each key means: in every mode, for every panel, one action or explicitly none.
#pragma once

#include "tools/console/console_state.hpp"

namespace troupe::console {

enum class act {
  nothing,
  quit,
  help,
  close,
  next_panel,
  previous_panel,
  go_to_panel,
  row_up,
  row_down,
  page_up,
  page_down,
  first_row,
  last_row,
  open,
  filter,
  clear_filter,
  sort_next,
  sort_reverse,
  pause,
  back,
  forward,
  back_far,
  forward_far,
  now,
  level,
  drain,
  cancel,
  unload,
  agree,
  refuse,
  type,
  erase,
  keep_filter,
  drop_filter,
};

act act_of(mode doing, panel focus, const key_press& pressed);

struct key_help {
  const char* keys;
  const char* meaning;
};
const std::vector<key_help>& all_keys();

}  // namespace troupe::console
