// What was seen during a run, and what it amounts to: pure, so that invented stories can be judged
// too.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "tools/chaos/schedule.hpp"

namespace troupe::chaos {

using microseconds = std::chrono::microseconds;

struct seen_token {
  std::uint32_t index = 0;
  std::int32_t id = 0;
  microseconds at{0};  // since the run began
};

// One job as its client saw it.
struct job_story {
  std::string id;
  std::uint32_t stream = 0, prompt = 0;
  microseconds submitted{0}, accepted_at{0}, ended{0};
  bool accepted = false;
  bool whole = false;  // it ended with a whole answer
  std::vector<seen_token> tokens;
  std::string text;
  std::string worker, gateway;  // at the end
  std::uint32_t attempts = 0, resumed = 0;
  std::optional<error> failure;

  bool moved() const { return attempts > 1 || resumed > 0; }
};

// What an undisturbed engine answers.
struct right_answer {
  std::vector<std::int32_t> ids;
  std::string text;
};

struct fault_story {
  fault done;
  microseconds began{0}, standing{0};  // it holds for certain from here
  microseconds ending{0}, ended{0};    // up to here; it is over
};

struct run_story {
  std::vector<job_story> jobs;
  std::vector<fault_story> faults;
  std::vector<right_answer> answers;  // by prompt
  microseconds lasted{0};
  std::vector<std::string> gateways;   // nodes that clients talk to
  std::uint32_t streams = 0;           // clients
  std::optional<microseconds> healed;  // everything was well again; each client asked once more
  std::uint64_t clock_reads = 0;       // of clocks that had been stepped
};

struct spread {
  std::size_t count = 0;
  double p50 = 0, p95 = 0, p99 = 0, most = 0;  // seconds
};

struct verdict {
  std::size_t submitted = 0, refused = 0, finished = 0;
  std::size_t lost = 0;  // accepted, but no whole answer
  std::size_t tokens = 0, tokens_lost = 0, tokens_repeated = 0, tokens_changed = 0;
  std::size_t texts_changed = 0;
  std::size_t refused_full = 0;       // for a disk that was full, as it should be
  std::size_t acknowledged_full = 0;  // and yet acknowledged by a gateway that could not write
  std::map<std::string, std::size_t> refusals;  // what was said, and how often; the first 16
  std::size_t moved = 0;                        // went on at another worker or gateway
  std::size_t faults_in_flight = 0;             // began while a job ran
  spread stalls;                        // the longest wait for a token of each job that moved and
                                        // whose client read
  spread first_tokens;                  // from submission, of every job with a token
  std::vector<std::string> violations;  // the first of them, in words
  std::vector<std::string> missing;     // floors that were not reached: the run shows nothing

  bool valid() const { return missing.empty(); }
  bool passed() const { return valid() && violations.empty(); }
};

// Beside what clients saw of each job: who cannot write acknowledges nothing; both sides of a
// partition serve (floors.jobs_per_side); after everything is healed each client gets an answer.
verdict judge(const run_story& run, const floor_plan& floors);

}  // namespace troupe::chaos
