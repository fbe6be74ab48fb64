// What a code of the CUDA runtime means for the process.
//
// After a sticky error (a kernel's bad address, a failed launch, an uncorrectable memory error)
// every further call on the context fails, and nothing computed since is to be trusted: the process
// ends, its supervisor starts it again, and its jobs go on elsewhere. Source: CUDA Runtime API,
// cudaError_t.
#pragma once

#include <chrono>

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

// What a GPU's management library says of it.
enum class device_presence { unknown, there, gone };

// Of a step that has run for so long: fine or sticky. deadline: 0 is none.
runtime_verdict verdict_of_step(std::chrono::milliseconds running,
                                std::chrono::milliseconds deadline, device_presence seen);

// The error that a caller gets; what was being done, and the runtime's own words.
error error_of(int code, const std::string& doing, const std::string& words);

}  // namespace troupe::kernels::cuda
