#include "kernels/backend/cuda/devices/gpu_group_cuda.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <string>

namespace troupe::kernels::cuda {

// The part of the library's interface that is used.
struct gpu_group_member::library {
  static constexpr const char* name = "libnccl.so.2";
  static constexpr int float32 = 7;

  int (*make_all)(void**, int, const int*) = nullptr;
  int (*gather)(const void*, void*, std::size_t, int, void*, stream_handle) = nullptr;
  int (*destroy)(void*) = nullptr;
  const char* (*words_of)(int) = nullptr;
  void* file = nullptr;

  library() = default;
  library(const library&) = delete;
  library& operator=(const library&) = delete;
  ~library() {
    if (file != nullptr) ::dlclose(file);
  }

  template <class Function>
  bool find(Function& to, const char* symbol) {
    to = reinterpret_cast<Function>(::dlsym(file, symbol));
    return to != nullptr;
  }
  bool open() {
    file = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return file != nullptr && find(make_all, "ncclCommInitAll") && find(gather, "ncclAllGather") &&
           find(destroy, "ncclCommDestroy") && find(words_of, "ncclGetErrorString");
  }
};

gpu_group_member::~gpu_group_member() {
  calls_->destroy(communicator_);
}

runtime_code gpu_group_member::all_gather(const float* part, float* all, std::uint64_t count,
                                          stream_handle on) {
  const int code = calls_->gather(part, all, count, library::float32, communicator_, on);
  if (code == 0) return 0;
  std::fprintf(stderr, "gpu_group_refused reason=\"NCCL says %d, %s\"\n", code,
               calls_->words_of(code));
  return static_cast<runtime_code>(cudaErrorNotSupported);
}

result<std::vector<std::unique_ptr<gpu_group_member>>> gpu_group::make(
    std::span<const int> devices) {
  auto calls = std::make_shared<gpu_group_member::library>();
  if (!calls->open())
    return error{error_code::unsupported,
                 std::string("no ") + gpu_group_member::library::name +
                     " (NCCL), through which GPUs exchange rows",
                 "install it where the loader finds it, or set gpu.spread to layers"};
  std::vector<void*> made(devices.size());
  const int code = calls->make_all(made.data(), static_cast<int>(devices.size()), devices.data());
  if (code != 0)
    return error{error_code::unsupported,
                 "these GPUs cannot be joined: NCCL says " + std::to_string(code) + ", " +
                     calls->words_of(code),
                 "set gpu.spread to layers, or see its log with NCCL_DEBUG=INFO"};
  std::vector<std::unique_ptr<gpu_group_member>> members;
  for (void* const communicator : made)
    members.emplace_back(new gpu_group_member(calls, communicator));
  return members;
}

}  // namespace troupe::kernels::cuda
