#include "cluster/link/waiting.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace troupe::link {
namespace {

constexpr std::uint64_t wake_key = ~std::uint64_t{0};
constexpr int events_max = 32;  // the rest comes with the next call

error no_descriptor() {
  return {error_code::resource_exhausted, "the link got no descriptor to wait with",
          "raise the limit of open files (ulimit -n)"};
}

bool several_cores() {
  cpu_set_t cores;
  return ::sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 1;
}

std::uint64_t steady_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

waiting::waiting(int epoll, int wake) : epoll_(epoll), wake_(wake), attention_(several_cores()) {}

waiting::~waiting() {
  ::close(epoll_);
  ::close(wake_);
}

result<std::unique_ptr<waiting>> waiting::open() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::unique_ptr<waiting> made(new waiting(epoll, wake));
  if (epoll < 0 || wake < 0) return no_descriptor();
  if (const status watched = made->watch(wake, wake_key); !watched.ok()) return watched.failure();
  return made;
}

status waiting::watch(int descriptor, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) return no_descriptor();
  return {};
}

void waiting::forget(int descriptor) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void waiting::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);  // full: it is awake
}

int waiting::look(int most_ms) {
  epoll_event events[events_max];
  const int count = ::epoll_wait(epoll_, events, events_max, most_ms);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 != wake_key) {
      keys_.push_back(events[i].data.u64);
      continue;
    }
    std::uint64_t times;
    [[maybe_unused]] const auto got = ::read(wake_, &times, sizeof times);
  }
  return count;
}

std::span<const std::uint64_t> waiting::wait(std::chrono::microseconds most) {
  keys_.clear();
  const std::uint64_t begun = steady_us();
  int count = 0;
  if (attention_.begin(begun)) {
    const std::uint64_t end = begun + static_cast<std::uint64_t>(most.count());
    for (std::uint64_t now = begun; (count = look(0)) == 0 && now < end;) {
      ::sched_yield();
      if (now = steady_us(); !attention_.again(now)) break;
    }
    if (count > 0) attention_.found();
    if (count == 0 && steady_us() >= end) return keys_;
  }
  if (count == 0) look(static_cast<int>((most.count() + 999) / 1000));
  return keys_;
}

}  // namespace troupe::link
