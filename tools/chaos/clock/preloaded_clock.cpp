// A library for LD_PRELOAD that gives one process a wall clock of its own. For daemons that
// `troupe chaos local` breaks; no program is linked with it, and it is not installed.
//
// Only what reads the time of day is replaced. Steady clocks stay right: a machine whose clock is
// set keeps those too. Waits until a time of day are the C library's, on the real clock.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "tools/chaos/clock/stepped_clock.hpp"

namespace {

using troupe::chaos::stepped_clock;

using clock_gettime_call = int (*)(clockid_t, timespec*);

stepped_clock* shared_clock() {
  static stepped_clock* const clock = []() -> stepped_clock* {
    const char* file = std::getenv(troupe::chaos::stepped_clock_variable);
    const int open_file = file ? ::open(file, O_RDWR | O_CLOEXEC) : -1;
    if (open_file < 0) return nullptr;
    void* at =
        ::mmap(nullptr, sizeof(stepped_clock), PROT_READ | PROT_WRITE, MAP_SHARED, open_file, 0);
    ::close(open_file);
    return at == MAP_FAILED ? nullptr : static_cast<stepped_clock*>(at);
  }();
  return clock;
}

std::int64_t step_us() {
  stepped_clock* const clock = shared_clock();
  if (!clock) return 0;
  const std::int64_t step = clock->step_us.load(std::memory_order_relaxed);
  if (step != 0) clock->reads.fetch_add(1, std::memory_order_relaxed);
  return step;
}

}  // namespace

extern "C" int clock_gettime(clockid_t which, timespec* out) {
  static const auto real =
      reinterpret_cast<clock_gettime_call>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int code = real(which, out);
  if (code != 0 || (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE)) return code;
  const std::int64_t step = step_us();
  out->tv_sec += step / 1'000'000;
  out->tv_nsec += step % 1'000'000 * 1'000;
  if (out->tv_nsec < 0) out->tv_nsec += 1'000'000'000, --out->tv_sec;
  if (out->tv_nsec >= 1'000'000'000) out->tv_nsec -= 1'000'000'000, ++out->tv_sec;
  return 0;
}

extern "C" int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  if (const int code = ::clock_gettime(CLOCK_REALTIME, &now); code != 0) return code;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1'000;
  return 0;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
