// What a code of the CUDA runtime means for the process.
//
// After a sticky error (a kernel's bad address, a failed launch, an uncorrectable memory error)
// every further call on the context fails, and nothing computed since is to be trusted: the process
// ends, its supervisor starts it again, and its jobs go on elsewhere. Source: CUDA Runtime API,
// cudaError_t.
#pragma once

#include "config/outcome.hpp"

namespace troupe::kernels::cuda {

enum class runtime_verdict {
  fine,
  out_of_memory,  // a value: nothing is lost
  no_device,      // no driver, none that fits, or no device: a value
  refused,        // the call was wrong and did nothing: a value, our own fault
  sticky,         // the context is lost
};

runtime_verdict verdict_of(int code);

// The error that a caller gets; what was being done, and the runtime's own words.
error error_of(int code, const std::string& doing, const std::string& words);

}  // namespace troupe::kernels::cuda
