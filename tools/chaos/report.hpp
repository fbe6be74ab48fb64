// A run told: as text for a terminal, as JSON, and as one HTML page with a timeline.
#pragma once

#include <string>

#include "tools/chaos/story.hpp"

namespace troupe::chaos {

struct run_report {
  chaos_plan plan;
  run_story run;
  verdict judged;
  // Answer tokens that a later attempt was given again; not known of somebody else's daemons.
  std::optional<std::uint64_t> tokens_recomputed;
  std::uint64_t bytes_damaged = 0;
  std::uint64_t frames_fenced = 0;    // of older attempts, dropped by nodes since their last start
  std::vector<std::string> declined;  // faults that a node did not let be done
};

std::string told_in_text(const run_report& report);
std::string told_in_json(const run_report& report);
std::string told_in_html(const run_report& report);

}  // namespace troupe::chaos
