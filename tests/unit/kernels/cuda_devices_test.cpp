// Which GPU is chosen, and when one counts as lost.
#include <doctest/doctest.h>

#include <future>

#include "kernels/backend/cuda/devices/device_watch.hpp"
#include "kernels/backend/cuda/devices/gpu_choice.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::cuda;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

cuda_device gpu(int index, std::uint64_t free, std::optional<double> celsius = {},
                std::optional<double> busy = {}) {
  cuda_device one;
  one.index = index;
  one.memory_bytes_free = free;
  one.celsius = celsius;
  one.busy_share = busy;
  return one;
}

int chosen(const std::vector<cuda_device>& from) {
  const cuda_device* one = choose_gpu(from);
  return one == nullptr ? -1 : one->index;
}

}  // namespace

TEST_CASE("cuda: the GPU with most free memory is chosen, among near equals the coolest") {
  CHECK(chosen({}) == -1);
  CHECK(chosen({gpu(0, 10 * gib, 30), gpu(1, 40 * gib, 90)}) == 1);
  CHECK(chosen({gpu(0, 40 * gib, 80), gpu(1, 38 * gib, 50)}) == 1);
  CHECK(chosen({gpu(0, 40 * gib, 80), gpu(1, 34 * gib, 50)}) == 0);
  CHECK(chosen({gpu(0, 0), gpu(1, 0)}) == 0);
}

TEST_CASE("cuda: as cool the less busy is chosen, as busy the first") {
  CHECK(chosen({gpu(0, 40 * gib, 60, 0.9), gpu(1, 40 * gib, 63, 0.2)}) == 1);
  CHECK(chosen({gpu(0, 40 * gib, 60, 0.9), gpu(1, 40 * gib, 70, 0.2)}) == 0);
  CHECK(chosen({gpu(1, 40 * gib, 60, 0.25), gpu(0, 40 * gib, 60, 0.3)}) == 0);
  CHECK(chosen({gpu(3, 40 * gib), gpu(2, 40 * gib)}) == 2);
}

TEST_CASE("cuda: what is not told counts as well as any, and a lost GPU is never chosen") {
  CHECK(chosen({gpu(0, 40 * gib), gpu(1, 40 * gib, 50)}) == 0);
  CHECK(chosen({gpu(0, 40 * gib, 70), gpu(1, 40 * gib), gpu(2, 40 * gib, 50)}) == 1);
  std::vector<cuda_device> two{gpu(0, 80 * gib), gpu(1, gib)};
  two[0].lost = true;
  CHECK(chosen(two) == 1);
  two[1].lost = true;
  CHECK(chosen(two) == -1);
}

TEST_CASE("cuda: a step is lost past its deadline, or where the GPU is gone") {
  const auto verdict = [](int running, int deadline, device_presence seen) {
    return verdict_of_step(milliseconds(running), milliseconds(deadline), seen);
  };
  using enum device_presence;
  CHECK(verdict(99, 100, unknown) == runtime_verdict::fine);
  CHECK(verdict(100, 100, unknown) == runtime_verdict::sticky);
  CHECK(verdict(100, 100, there) == runtime_verdict::sticky);  // it hangs
  CHECK(verdict(1 << 30, 0, there) == runtime_verdict::fine);
  CHECK(verdict(1, 100, gone) == runtime_verdict::sticky);
  CHECK(verdict(1, 0, gone) == runtime_verdict::sticky);
  CHECK(verdict(0, 0, unknown) == runtime_verdict::fine);
}

TEST_CASE("cuda: a watch tells once of a step that does not end, and of a GPU that is gone") {
  for (const bool gone : {false, true}) {
    std::promise<std::string> told;
    const auto presence = [gone] { return gone ? device_presence::gone : device_presence::there; };
    device_watch watch({.deadline = milliseconds(gone ? 0 : 5), .look_every = milliseconds(1)},
                       presence, [&](const std::string& why) { told.set_value(why); });
    const watched_step step(watch);
    CHECK(told.get_future().get().find(gone ? "gone" : "not ended") != std::string::npos);
  }
}

TEST_CASE("cuda: a watch that has nobody to ask and no deadline tells nothing, nor between steps") {
  bool told = false;
  const auto tell = [&](const std::string&) { told = true; };
  {
    device_watch idle({.look_every = milliseconds(1)}, {}, tell);
    const watched_step step(idle);
  }
  std::atomic<int> asked{0};
  {
    device_watch watch(
        {.deadline = std::chrono::hours(1), .look_every = milliseconds(1)},
        [&] { return ++asked, device_presence::there; }, tell);
    const watched_step step(watch);
    while (asked < 3) std::this_thread::yield();
  }
  CHECK_FALSE(told);
}
