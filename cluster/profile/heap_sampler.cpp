#include "cluster/profile/heap_sampler.hpp"

#include <execinfo.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <utility>

namespace troupe::profile {
namespace {

constexpr std::size_t places =
    16'384;  // a power of two; a quarter stays empty, so probes are short
static_assert(heap_samples_max <= places / 4 * 3);

struct detail {
  std::uint64_t bytes = 0;
  std::uint32_t depth = 0;
  std::array<void*, heap_frames_max> frames{};
};

// The addresses of what was sampled and lives. Looked at without a lock by whoever gives memory
// back, hence never freed and never moved; a place that was left is marked so that searches go on
// over it. Changed under `guard`.
std::array<std::atomic<void*>, places> living;
void* const left_place = &living;

std::mutex guard;
std::unique_ptr<detail[]> details;  // of the places; null: no sampling
std::size_t places_used = 0;        // left ones as well
std::uint64_t taken = 0, dropped = 0;
std::atomic<std::uint32_t> sampling{0};  // which one, counted from 1

struct thread_state {
  std::uint32_t sampling = 0;
  bool busy = false;  // it allocates while it takes a sample
  std::uint64_t random = 0;
  double left = 0;  // bytes until the next sample
};
thread_local constinit thread_state here;

double distance(std::uint64_t& random) {
  random ^= random << 13;
  random ^= random >> 7;
  random ^= random << 17;
  const double uniform = (static_cast<double>(random >> 11) + 1) * 0x1.0p-53;  // (0, 1]
  return -std::log(uniform) * heap_bytes_between;
}

std::size_t place_of(const void* memory) {
  return static_cast<std::size_t>(
      (reinterpret_cast<std::uintptr_t>(memory) * 0x9e3779b97f4a7c15u) >> 50);
}
static_assert(places == std::size_t{1} << (64 - 50));

// A sample of n bytes comes with the probability 1 - exp(-n / between): it stands for n over that.
std::uint64_t stands_for(std::size_t bytes) {
  const double n = static_cast<double>(std::max<std::size_t>(bytes, 1));
  return static_cast<std::uint64_t>(std::llround(n / -std::expm1(-n / heap_bytes_between)));
}

void keep(void* memory, std::size_t bytes) {
  detail fresh;
  fresh.bytes = stands_for(bytes);
  const int depth = ::backtrace(fresh.frames.data(), static_cast<int>(heap_frames_max));
  fresh.depth = static_cast<std::uint32_t>(std::max(depth, 0));
  const std::lock_guard lock{guard};
  if (!details) return;
  ++taken;
  std::size_t at = place_of(memory);
  for (;; at = (at + 1) % places) {
    void* const there = living[at].load(std::memory_order_relaxed);
    if (there == left_place) break;
    if (there) continue;
    if (places_used >= heap_samples_max) {
      ++dropped;
      return;
    }
    ++places_used;
    break;
  }
  details[at] = fresh;
  living[at].store(memory, std::memory_order_release);
}

}  // namespace

void heap::take_in(void* memory, std::size_t bytes) noexcept {
  if (!memory || here.busy) return;
  const std::uint32_t now = sampling.load(std::memory_order_relaxed);
  if (here.sampling != now) {
    here.sampling = now;
    here.random =
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
        reinterpret_cast<std::uintptr_t>(&here) * 0x9e3779b97f4a7c15u;
    here.random |= 1;
    for (int i = 0; i < 4; ++i) (void)distance(here.random);
    here.left = distance(here.random);
  }
  here.left -= static_cast<double>(bytes);
  if (here.left > 0) return;
  here.left = distance(here.random);
  here.busy = true;
  keep(memory, bytes);
  here.busy = false;
}

void heap::let_go(void* memory) noexcept {
  if (!memory) return;
  std::size_t at = place_of(memory);
  for (std::size_t tried = 0; tried < places; ++tried, at = (at + 1) % places) {
    void* const there = living[at].load(std::memory_order_acquire);
    if (!there) return;
    if (there != memory) continue;
    const std::lock_guard lock{guard};
    if (living[at].load(std::memory_order_relaxed) == memory)
      living[at].store(left_place, std::memory_order_release);
    return;
  }
}

status begin_heap_sampling() {
  if (!heap::operators_here)
    return error{error_code::unsupported, "this program's allocations are not counted",
                 "profile the heap of a daemon that was built without a sanitizer: a sanitizer "
                 "watches the heap by itself"};
  void* first[2];
  ::backtrace(first, 2);  // loads the unwinder, which allocates
  auto fresh = std::make_unique<detail[]>(places);
  {
    const std::lock_guard lock{guard};
    if (details)
      return error{error_code::already_exists, "this process's heap is being profiled already",
                   "wait until that profile has ended"};
    details = std::move(fresh);
    places_used = 0;
    taken = dropped = 0;
  }
  sampling.fetch_add(1);
  heap::on = true;
  return {};
}

heap_samples end_heap_sampling() {
  heap::on = false;
  heap_samples out;
  out.alive.reserve(heap_samples_max);  // before the lock: what is freed meanwhile wants it
  std::unique_ptr<detail[]> ended;
  std::vector<std::size_t> found;
  found.reserve(heap_samples_max);
  {
    const std::lock_guard lock{guard};
    ended = std::move(details);
    for (std::size_t at = 0; at < places; ++at) {
      void* const there = living[at].exchange(nullptr);
      if (there && there != left_place) found.push_back(at);
    }
    out.taken = taken;
    out.dropped = dropped;
  }
  if (!ended) return out;
  for (const std::size_t at : found) {
    const detail& one = ended[at];
    out.alive.push_back({one.bytes, {one.frames.begin(), one.frames.begin() + one.depth}});
  }
  return out;
}

}  // namespace troupe::profile
