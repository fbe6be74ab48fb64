#include "cluster/profile/cpu_sampler.hpp"

#include <execinfo.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "actors/shell/current_actor.hpp"

namespace troupe::profile {
namespace {

constexpr long interval_ns = 1'000'000'000 / samples_per_second;
constexpr std::size_t handler_frames_max = 8;  // the handler's own, and what a sanitizer adds
constexpr int names_read_max = 3;              // a thread that has just begun may name itself yet

enum slot_state : std::uint32_t { slot_free, slot_taken, slot_full };

struct slot {
  std::atomic<std::uint32_t> state{slot_free};
  std::uint32_t thread = 0, depth = 0;
  bool cut = false;
  std::array<char, 24> actor{};
  std::array<std::uintptr_t, sampled_frames_max> frames{};
};

struct thread_count {
  std::atomic<std::uint32_t> samples{0}, dropped{0};
};

struct buffer {
  std::uint32_t generation = 0;
  std::atomic<std::uint32_t> next{0};
  std::array<slot, sample_slots> slots;
  std::array<thread_count, sampled_threads_max> counts;
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<buffer*>::is_always_lock_free);

std::atomic<bool> sampling{false};
std::atomic<buffer*> current{nullptr};
std::atomic<std::uint32_t> inside{0};  // handlers that may hold what current was
std::atomic<std::uint32_t> generations{0};

std::uintptr_t interrupted_at(const void* context) {
  [[maybe_unused]] const auto& at = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(at.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<std::uintptr_t>(at.pc);
#else
  return 0;
#endif
}

// The view is two words, and the signal may have come between them: its end is a zero byte, too.
void copy_actor(std::array<char, 24>& to) {
  const std::string_view actor = current_actor;
  std::size_t n = 0;
  if (actor.data())
    for (; n < std::min(actor.size(), to.size() - 1) && actor.data()[n] != '\0'; ++n)
      to[n] = actor.data()[n];
  to[n] = '\0';
}

void copy_frames(slot& to, std::uintptr_t interrupted) {
  void* found[sampled_frames_max + handler_frames_max];
  const int count = ::backtrace(found, static_cast<int>(std::size(found)));
  void** const end = found + std::max(count, 0);
  const auto address = [](void* frame) { return reinterpret_cast<std::uintptr_t>(frame); };
  void** begin = found;
  while (begin != end && begin != found + handler_frames_max && address(*begin) != interrupted)
    ++begin;
  to.depth = 0;
  to.cut = false;
  if (begin == end || address(*begin) != interrupted) {  // no way back is to be found
    to.frames[to.depth++] = interrupted;
    return;
  }
  for (void** frame = begin; frame != end && to.depth < sampled_frames_max; ++frame)
    to.frames[to.depth++] = address(*frame);
  to.cut = end == std::end(found) || static_cast<std::size_t>(end - begin) > sampled_frames_max;
}

void sample(buffer& to, std::uint32_t thread, std::uintptr_t interrupted) {
  slot& mine = to.slots[to.next.fetch_add(1, std::memory_order_relaxed) % sample_slots];
  std::uint32_t expected = slot_free;
  if (!mine.state.compare_exchange_strong(expected, slot_taken, std::memory_order_acquire)) {
    to.counts[thread].dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  mine.thread = thread;
  copy_actor(mine.actor);
  copy_frames(mine, interrupted);
  to.counts[thread].samples.fetch_add(1, std::memory_order_relaxed);
  mine.state.store(slot_full, std::memory_order_release);
}

void on_tick(int, siginfo_t* why, void* context) {
  const int before = errno;
  inside.fetch_add(1);
  if (buffer* to = current.load(); to && why->si_code == SI_TIMER) {
    const auto told = static_cast<std::uint32_t>(why->si_value.sival_int);
    if (told / sampled_threads_max == to->generation)
      sample(*to, told % sampled_threads_max, interrupted_at(context));
  }
  inside.fetch_sub(1);
  errno = before;
}

// What pthread_getcpuclockid() gives, for a thread that is known by its kernel's number.
clockid_t clock_of(pid_t thread) {
  return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3 | 6u);
}

std::uint64_t cpu_us_of(pid_t thread) {
  timespec used{};
  if (::clock_gettime(clock_of(thread), &used) != 0) return 0;
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec) / 1000;
}

std::string name_of(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/comm");
  std::string name;
  std::getline(file, name);
  return name.empty() ? "thread" : name;
}

std::vector<pid_t> threads_now() {
  std::vector<pid_t> out;
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc/self/task", failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string name = at->path().filename().string();
    pid_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number > 0) out.push_back(number);
  }
  return out;
}

class thread_sampler final : public cpu_sampler {
 public:
  thread_sampler() {
    buffer_->generation = generations.fetch_add(1) % 0x7ffff;
    current = buffer_.get();
    look_for_threads();
  }
  ~thread_sampler() override {
    end();
    sampling = false;
  }

  // 0: some thread has a timer.
  int failure() const { return timers_ == 0 ? failure_ : 0; }

  void look_for_threads() override {
    const std::vector<pid_t> now = threads_now();
    std::erase_if(alive_, [&](const auto& entry) {
      if (std::find(now.begin(), now.end(), entry.first) != now.end()) return false;
      watched_[entry.second].stop();
      return true;
    });
    for (const pid_t thread : now) {
      const auto known = alive_.find(thread);
      if (known != alive_.end())
        watched_[known->second].look(thread);
      else if (thread != ::gettid() && watched_.size() < sampled_threads_max)
        watch(thread);
    }
  }

  void collect(const std::function<void(const cpu_sample&)>& take) override {
    for (slot& one : buffer_->slots) {
      if (one.state.load(std::memory_order_acquire) != slot_full) continue;
      take({watched_[one.thread].name, one.actor.data(), {one.frames.data(), one.depth}, one.cut});
      one.state.store(slot_free, std::memory_order_release);
    }
  }

  void end() override {
    if (!current.exchange(nullptr)) return;
    for (const auto& [thread, index] : alive_) {
      watched_[index].look(thread);
      watched_[index].stop();
    }
    alive_.clear();
    while (inside.load() > 0) ::sched_yield();
  }

  std::vector<thread_use> threads() const override {
    std::vector<thread_use> out;
    for (std::size_t i = 0; i < watched_.size(); ++i)
      out.push_back({watched_[i].name, watched_[i].now_us - watched_[i].began_us,
                     buffer_->counts[i].samples, buffer_->counts[i].dropped});
    return out;
  }

 private:
  struct watched_thread {
    std::string name;
    std::uint64_t began_us = 0, now_us = 0;
    timer_t timer{};
    bool timed = false;
    int names_read = 0;

    void look(pid_t thread) {
      now_us = std::max(now_us, cpu_us_of(thread));
      if (names_read++ < names_read_max) name = name_of(thread);
    }
    void stop() {
      if (std::exchange(timed, false)) ::timer_delete(timer);
    }
  };

  void watch(pid_t thread) {
    const std::size_t index = watched_.size();
    watched_thread fresh;
    fresh.began_us = cpu_us_of(thread);
    fresh.look(thread);
    sigevent wish{};
    wish.sigev_notify = SIGEV_THREAD_ID;
    wish.sigev_signo = SIGPROF;
    wish._sigev_un._tid = thread;
    wish.sigev_value.sival_int =
        static_cast<int>(buffer_->generation * sampled_threads_max + index);
    fresh.timed = ::timer_create(clock_of(thread), &wish, &fresh.timer) == 0;
    if (fresh.timed)
      ++timers_;
    else
      failure_ = errno;
    alive_[thread] = index;
    watched_.push_back(std::move(fresh));
    const itimerspec pace{{0, interval_ns}, {0, interval_ns}};
    if (watched_[index].timed) ::timer_settime(watched_[index].timer, 0, &pace, nullptr);
  }

  std::unique_ptr<buffer> buffer_ = std::make_unique<buffer>();
  std::vector<watched_thread> watched_;
  std::map<pid_t, std::size_t> alive_;
  std::size_t timers_ = 0;  // ever made
  int failure_ = 0;
};

}  // namespace

result<std::unique_ptr<cpu_sampler>> cpu_sampler::begin() {
#if !__GLIBC_PREREQ(2, 35)
  return error{error_code::unsupported,
               "with this C library a stack cannot be read in a signal: its unwinder takes locks",
               "build with glibc 2.35 or newer"};
#endif
  if (sampling.exchange(true))
    return error{error_code::already_exists, "this process is being profiled already",
                 "wait until that profile has ended"};
  void* first[2];
  ::backtrace(first, 2);  // loads the unwinder here, never in a signal
  // Stays for good: without it, a signal that comes late would end the process.
  struct sigaction action {};
  action.sa_sigaction = on_tick;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  ::sigfillset(&action.sa_mask);
  ::sigaction(SIGPROF, &action, nullptr);
  auto out = std::make_unique<thread_sampler>();
  if (out->failure() != 0)
    return error{error_code::unsupported,
                 std::string("the kernel gives no timers of threads' processor time: ") +
                     std::generic_category().message(out->failure()),
                 "a real Linux kernel does; under a sandbox, see what it offers"};
  return std::unique_ptr<cpu_sampler>(std::move(out));
}

}  // namespace troupe::profile
