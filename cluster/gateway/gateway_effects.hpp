// What the gateway's core gives back for an event, and what it counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "cluster/journal/batch.hpp"

namespace troupe::cluster {

// What one event leads to: envelopes to post, and log lines (key=value, one for each event worth
// telling).
struct gateway_effects {
  std::vector<envelope_ptr> messages;
  std::vector<std::string> log;
  journal::batch journal;          // empty: nothing to write; durable() is due once it is on disk
  std::vector<envelope_ptr> told;  // to monitoring: a job's steps
};

struct gateway_counters {
  std::uint64_t accepted = 0;
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t refused = 0;
  std::uint64_t running = 0;
  std::uint64_t attempts_restarted = 0;
  std::uint64_t frames_fenced = 0;         // of an older attempt or an ended job
  std::uint64_t frames_repeated = 0;       // held already, and equal
  std::uint64_t frames_contradicting = 0;  // the attempt was given up
  std::uint64_t unexpected = 0;            // messages that nobody waits for
  std::uint64_t answer_tokens = 0;         // taken from workers and caches
};

}  // namespace troupe::cluster
