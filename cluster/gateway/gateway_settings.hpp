// What a gateway is told at its start. Plain values; the node fills them from the settings table.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cluster/gateway/job_checks.hpp"

namespace troupe::cluster {

using std::chrono::milliseconds;

struct gateway_settings {
  std::string node;
  std::uint64_t epoch = 0;      // higher at each start; the high part of every fence
  std::uint64_t seed_salt = 0;  // for jobs that bring no seed: random at each start
  job_bounds bounds;
  std::uint32_t jobs_max = 1024;
  std::uint32_t tenant_jobs_max = 0;  // that run at once for one tenant; 0: no such bound
  std::uint32_t finished_jobs_kept = 1024;
  milliseconds finished_kept_for{300'000};
  std::uint64_t kept_bytes_max = 64u << 20;
  std::uint32_t default_credit = 256;
  std::uint32_t frame_tokens_max = 64;  // of one JobTokens
  std::uint32_t attempts_max = 3;
  std::uint32_t breaker_failures = 5;   // of a node in a row; then it gets no work for a while
  std::uint32_t retry_jitter = 25;      // percent that may be missing from any of these pauses
  std::uint64_t retry_seed = 0;         // of what is left to chance in them
  std::uint32_t worker_losses_max = 2;  // that one job lives through; then it is suspected
  std::uint32_t status_reads_max = 64;
  std::uint32_t releases_max = 64;  // that wait for their nodes at once
  milliseconds job_deadline{600'000};
  milliseconds prepare_wait{10'000};  // PreparePrompt
  milliseconds look_up_wait{1'000};   // LookUpAnswer; then it counts as missing
  milliseconds load_wait{600'000};    // LoadModel
  milliseconds status_wait{1'500};    // ReadStatus; then the node is shown as not answering
  milliseconds release_wait{2'000};   // ReleaseBlocks; then the node is told as silent
  milliseconds gap_wait{500};         // early frames; then the attempt is started again
  milliseconds settle_wait{0};        // for what other nodes have, of a gateway that has just begun
  milliseconds worker_wait{5'000};    // for a node that can compute
  milliseconds breaker_open_min{500}, breaker_open_max{5'000};  // that while; doubled in between
  // Before a job goes to a node that refused it, where no other can take it; doubled in between.
  milliseconds retry_min{100}, retry_max{2'000};
  milliseconds credit_repeat{1'000};    // a silent worker is told its credit again
  milliseconds progress_wait{300'000};  // a running attempt that may send and sends nothing
  milliseconds detach_grace{0};         // an accepted job goes on for so long without a client
  milliseconds recovery_wait{60'000};   // as worker_wait, of jobs that a journal brought back
  bool tells = true;                    // monitoring hears of the jobs
  bool journal = false;                 // jobs are written down (gateway_effects::journal)
};

}  // namespace troupe::cluster
