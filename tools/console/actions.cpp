#include "tools/console/actions.hpp"

namespace troupe::console {
namespace {

act moving(key what) {
  switch (what) {
    case key::up:
      return act::row_up;
    case key::down:
      return act::row_down;
    case key::page_up:
      return act::page_up;
    case key::page_down:
      return act::page_down;
    case key::home:
      return act::first_row;
    case key::end:
      return act::last_row;
    default:
      return act::nothing;
  }
}

act moving(char letter) {
  switch (letter) {
    case 'k':
      return act::row_up;
    case 'j':
      return act::row_down;
    case 'g':
      return act::first_row;
    case 'G':
      return act::last_row;
    default:
      return act::nothing;
  }
}

char letter_of(const key_press& pressed) {
  return pressed.what == key::character && pressed.character.size() == 1 ? pressed.character[0]
                                                                         : '\0';
}

act in_panels(panel focus, const key_press& pressed) {
  switch (pressed.what) {
    case key::character:
      break;
    case key::left:
      return act::back;
    case key::right:
      return act::forward;
    case key::enter:
      return act::open;
    case key::escape:
      return act::clear_filter;
    case key::tab:
      return act::next_panel;
    case key::back_tab:
      return act::previous_panel;
    default:
      return moving(pressed.what);
  }
  const char letter = letter_of(pressed);
  if (letter >= '1' && letter <= '8') return act::go_to_panel;
  switch (letter) {
    case 'q':
      return act::quit;
    case '?':
    case 'h':
      return act::help;
    case '/':
      return act::filter;
    case 's':
      return act::sort_next;
    case 'S':
      return act::sort_reverse;
    case ' ':
      return act::pause;
    case '[':
      return act::back_far;
    case ']':
      return act::forward_far;
    case '0':
      return act::now;
    case 'l':
      return focus == panel::log ? act::level : act::nothing;
    case 'd':
      return focus == panel::nodes ? act::drain : act::nothing;
    case 'c':
      return focus == panel::jobs ? act::cancel : act::nothing;
    case 'u':
      return focus == panel::models ? act::unload : act::nothing;
    default:
      return moving(letter);
  }
}

act in_page(mode doing, const key_press& pressed) {
  const char letter = letter_of(pressed);
  if (pressed.what == key::escape || pressed.what == key::enter || pressed.what == key::backspace)
    return act::close;
  if (letter == 'q') return act::close;
  if (letter == '?' || letter == 'h') return doing == mode::help ? act::close : act::help;
  if (letter == 'c' && doing == mode::story) return act::cancel;
  return letter ? moving(letter) : moving(pressed.what);
}

}  // namespace

act act_of(mode doing, panel focus, const key_press& pressed) {
  if (pressed.what == key::interrupt) return act::quit;
  switch (doing) {
    case mode::panels:
      return in_panels(focus, pressed);
    case mode::filtering:
      if (pressed.what == key::enter) return act::keep_filter;
      if (pressed.what == key::escape) return act::drop_filter;
      if (pressed.what == key::backspace) return act::erase;
      if (pressed.what == key::character) return act::type;
      return moving(pressed.what);
    case mode::confirming:
      return letter_of(pressed) == 'y' || letter_of(pressed) == 'Y' ? act::agree : act::refuse;
    case mode::help:
    case mode::detail:
    case mode::story:
      break;
  }
  return in_page(doing, pressed);
}

const std::vector<key_help>& all_keys() {
  static const std::vector<key_help> keys = {
      {"1 .. 8, Tab, Shift-Tab", "go to a panel"},
      {"Up, Down (k, j), PgUp, PgDn", "go through its rows"},
      {"Home, End (g, G)", "to the first row, to the last"},
      {"Enter", "open what is selected: a job's story, a node, an alert, a line"},
      {"Esc", "close; take the panel's filter away"},
      {"/", "filter the panel: rows that have all the words"},
      {"s, S", "sort by the next column; the other way round"},
      {"Space", "pause; go on"},
      {"Left, Right", "10 seconds back, forward, through the last 15 minutes"},
      {"[, ]", "a minute back, forward"},
      {"0", "back to now"},
      {"d", "Nodes: drain the node, after a question"},
      {"c", "Jobs, story: cancel the job, after a question"},
      {"u", "Models: unload the model, after a question"},
      {"l", "Log: from which level on lines are shown"},
      {"?, h", "this help"},
      {"q, Ctrl-C", "quit; the cluster goes on"},
  };
  return keys;
}

}  // namespace troupe::console
