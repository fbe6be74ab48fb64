// A job's story for reading: what happened in plain words, then its spans as an indented waterfall.
#pragma once

#include "tools/console/screen.hpp"

namespace troupe::console {

// The part of a job's time that took longest, in words: "Most of its time: queue at pc2, 2.1 s of
// 2.9 s (72 %)". Empty where there is no span.
std::string longest_part(const proto::JobStory& story);

std::vector<line> story_lines(const proto::JobStory& story, std::size_t width, bool unicode);

}  // namespace troupe::console
