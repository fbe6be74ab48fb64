// What the environment says of the terminal.
#include <doctest/doctest.h>

#include <map>

#include "tools/console/terminal_kind.hpp"

using namespace troupe::console;

namespace {

terminal_kind kind(std::map<std::string, std::string> variables) {
  return kind_of([&](const char* name) { return variables[name]; });
}

}  // namespace

TEST_CASE("colours and characters are those that the terminal has") {
  const terminal_kind usual = kind({{"TERM", "xterm-256color"}, {"LANG", "en_US.UTF-8"}});
  CHECK((usual.drawable && usual.unicode && usual.how == colours::sixteen));
  CHECK(kind({{"TERM", "xterm"}, {"LANG", "C.utf8"}, {"NO_COLOR", "1"}}).how == colours::none);
  CHECK(kind({{"TERM", "xterm"}, {"LANG", "C.utf8"}, {"NO_COLOR", ""}}).how == colours::sixteen);
  CHECK(!kind({{"TERM", "xterm"}, {"LANG", "C"}}).unicode);
  CHECK(!kind({{"TERM", "xterm"}, {"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"}}).unicode);
  CHECK(!kind({{"TERM", "xterm"}}).unicode);
  CHECK(!kind({{"TERM", "dumb"}, {"LANG", "C.utf8"}}).drawable);
  CHECK(!kind({}).drawable);
  const terminal_kind old = kind({{"TERM", "vt220"}, {"LANG", "C.utf8"}});
  CHECK((old.drawable && !old.unicode && old.how == colours::none));
  CHECK(kind({{"TERM", "linux"}, {"LANG", "C.utf8"}}).how == colours::sixteen);
}
