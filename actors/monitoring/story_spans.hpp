// A job's steps as spans: the request at the root, under it what its time went to.
//
// The worker tells how long its prompt waited and computed, not when: these spans are laid out from
// the attempt's start, so that the first token falls where the gateway saw it; what is left between
// the gateway's time and the worker's is the link's. Pure.
#pragma once

#include <vector>

#include "actors/monitoring/job_stories.hpp"

namespace troupe {

// now_us: the gateway's clock, for what still lasts; wall_offset_us is added to it.
std::vector<proto::Span> spans_of(const job_story& story, std::uint64_t now_us,
                                  std::int64_t wall_offset_us);

}  // namespace troupe
