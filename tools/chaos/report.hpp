// A run told: as text for a terminal, as JSON, and as one HTML page with a timeline.
#pragma once

#include <string>

#include "tools/chaos/story.hpp"

namespace troupe::chaos {

struct run_report {
  chaos_plan plan;
  run_story run;
  verdict judged;
  std::uint64_t tokens_recomputed =
      0;  // prompt and answer tokens that a later attempt was given again
  std::uint64_t bytes_damaged = 0;
};

std::string told_in_text(const run_report& report);
std::string told_in_json(const run_report& report);
std::string told_in_html(const run_report& report);

}  // namespace troupe::chaos
