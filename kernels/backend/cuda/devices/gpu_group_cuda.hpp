// GPUs of this machine that give each other rows: NVIDIA's NCCL, loaded at run time.
//
// Threading: each member belongs to one thread, which has bound its device. All members must call
// the same in the same order, each from its own thread, since a call may wait for the others'.
// Source: NCCL's nccl.h; the calls used are those of every version from 2.14 on.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/backend/cuda/bodies/launches.hpp"

namespace troupe::kernels::cuda {

class gpu_group_member {
 public:
  ~gpu_group_member();
  gpu_group_member(const gpu_group_member&) = delete;
  gpu_group_member& operator=(const gpu_group_member&) = delete;
  // `count` floats of each member, in the members' order, into `all` of every member. Takes its
  // turn on the stream and may be recorded. Not 0: the library refused, and said why on stderr.
  runtime_code all_gather(const float* part, float* all, std::uint64_t count, stream_handle on);

 private:
  friend class gpu_group;
  struct library;
  gpu_group_member(std::shared_ptr<const library> calls, void* communicator)
      : calls_(std::move(calls)), communicator_(communicator) {}

  std::shared_ptr<const library> calls_;
  void* communicator_;
};

class gpu_group {
 public:
  // A member for each device. Errors: unsupported, where there is no NCCL, or it takes these not.
  static result<std::vector<std::unique_ptr<gpu_group_member>>> make(std::span<const int> devices);
};

}  // namespace troupe::kernels::cuda
