// What tests may set about the NCCL that played_nccl.cpp plays.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>

namespace troupe::kernels::testing {

struct played_nccl {
  int code = 0;  // what making a group gets
  std::atomic<int> members{0};
  std::atomic<std::size_t> gathered{0};  // gatherings that all members took part in
};

// The library's own state, which lives as long as the process.
inline played_nccl& the_played_nccl() {
  static void* const file = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  const auto state = reinterpret_cast<played_nccl* (*)()>(
      file == nullptr ? nullptr : ::dlsym(file, "played_nccl_state"));
  if (state == nullptr) std::abort();  // none, or this machine's own was found
  return *state();
}

}  // namespace troupe::kernels::testing
