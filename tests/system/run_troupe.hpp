// The `troupe` command as a process of its own, run to its end.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "processes.hpp"

namespace system_test {

struct told {
  int code = -1;
  std::string output, errors;
};

inline told run_troupe(std::vector<std::string> words) {
  const scratch_folder folder;
  words.insert(words.begin(), TROUPE);
  child_process process(words, folder.path() / "errors");
  told out;
  while (const auto line = process.line(milliseconds(60'000))) out.output += *line + "\n";
  out.code = process.wait(milliseconds(60'000)).value_or(-1);
  out.errors = content_of(folder.path() / "errors");
  return out;
}

}  // namespace system_test
