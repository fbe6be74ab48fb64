// NCCL that is none: members are threads of this process, and a gathering is a meeting of all of
// them, which takes its turn on each member's played stream. Loaded by its name, as the real one.
#include "tests/cuda/played_nccl.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/cuda/played_runtime.hpp"

using namespace troupe::kernels::testing;

namespace {

class meeting {
 public:
  explicit meeting(std::size_t members) : parts_(members), counts_(members) {}

  // Copies all members' parts when all have come, and lets nobody go before all have copied.
  void gather(std::size_t rank, const float* part, float* all, std::size_t count) {
    parts_[rank] = part;
    counts_[rank] = count;
    come_together();
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (counts_[i] != count) fail("members gather different numbers of values");
      std::memmove(all + i * count, parts_[i], count * sizeof(float));
    }
    come_together();
  }

 private:
  // A member that never comes would hang the others on a real GPU: here it ends the test.
  void come_together() {
    std::unique_lock lock{guard_};
    const std::size_t round = rounds_;
    if (++here_ == parts_.size()) {
      here_ = 0;
      ++rounds_;
      come_.notify_all();
      return;
    }
    if (!come_.wait_for(lock, std::chrono::seconds(60), [&] { return rounds_ != round; }))
      fail("a member did not come to a gathering");
  }
  static void fail(const char* why) {
    std::fprintf(stderr, "played NCCL: %s\n", why);
    std::abort();
  }

  std::vector<const float*> parts_;
  std::vector<std::size_t> counts_;
  std::mutex guard_;
  std::condition_variable come_;
  std::size_t here_ = 0, rounds_ = 0;
};

struct member {
  std::shared_ptr<meeting> where;
  std::size_t rank;
};

}  // namespace

extern "C" {

played_nccl* played_nccl_state() {
  static played_nccl state;
  return &state;
}
int ncclCommInitAll(void** made, int count, const int*) {
  if (played_nccl_state()->code != 0) return played_nccl_state()->code;
  const auto where = std::make_shared<meeting>(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) made[i] = new member{where, static_cast<std::size_t>(i)};
  played_nccl_state()->members += count;
  return 0;
}
int ncclAllGather(const void* part, void* all, std::size_t count, int type, void* communicator,
                  CUstream_st* on) {
  if (type != 7) return 4;  // ncclInvalidArgument: not float32
  const member self = *static_cast<member*>(communicator);
  play(on, [=] {
    self.where->gather(self.rank, static_cast<const float*>(part), static_cast<float*>(all), count);
    if (self.rank == 0) ++played_nccl_state()->gathered;
  });
  return 0;
}
int ncclCommDestroy(void* communicator) {
  delete static_cast<member*>(communicator);
  --played_nccl_state()->members;
  return 0;
}
const char* ncclGetErrorString(int) {
  return "played";
}

}  // extern "C"
