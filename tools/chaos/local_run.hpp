// One run of a plan against daemons of this machine.
//
// Threading: one run at a time in a process; the calling thread carries out the faults.
#pragma once

#include <atomic>
#include <filesystem>

#include "tools/chaos/report.hpp"

namespace troupe::chaos {

struct local_wish {
  chaos_plan plan;
  std::filesystem::path daemon;  // the program trouped
  std::filesystem::path model;   // a GGUF file
};

// Ends early, with what was seen until then, when `ended` becomes true. Errors: what the model or
// the daemons refuse.
result<run_report> run_locally(const local_wish& wish, const std::atomic<bool>& ended);

}  // namespace troupe::chaos
