#include "cluster/node/wakeups.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace troupe::cluster {

wakeups::wakeups() {
  ::signal(SIGPIPE, SIG_IGN);  // hiredis writes to sockets whose server has gone
  ::signal(SIGXFSZ, SIG_IGN);  // a bound on file sizes is an error of write(), as a full disk is
  sigset_t watched;
  ::sigemptyset(&watched);
  ::sigaddset(&watched, SIGTERM);
  ::sigaddset(&watched, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  signals_ = ::signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

wakeups::~wakeups() {
  ::close(signals_);
  ::close(event_);
}

void wakeups::kick() {
  const std::uint64_t one = 1;
  (void)!::write(event_, &one, sizeof one);
}

void wakeups::actor_ended(std::string name) {
  {
    const std::lock_guard lock{guard_};
    ended_.push_back(std::move(name));
  }
  kick();
}

void wakeups::ask_to_drain(std::chrono::milliseconds wait_max) {
  {
    const std::lock_guard lock{guard_};
    if (!drain_) drain_ = wait_max;
  }
  kick();
}

wakeups::news wakeups::wait(std::chrono::milliseconds wait_max) {
  pollfd watched[] = {{signals_, POLLIN, 0}, {event_, POLLIN, 0}};
  const auto wait = std::clamp<std::int64_t>(wait_max.count(), 0, 3'600'000);
  ::poll(watched, 2, static_cast<int>(wait));
  news out;
  signalfd_siginfo signal;
  while (::read(signals_, &signal, sizeof signal) == sizeof signal) out.asked_to_stop = true;
  std::uint64_t count = 0;
  (void)!::read(event_, &count, sizeof count);
  const std::lock_guard lock{guard_};
  out.ended = std::exchange(ended_, {});
  if (drain_ && !std::exchange(drain_told_, true)) out.asked_to_drain = drain_;
  return out;
}

}  // namespace troupe::cluster
