// Real samples: threads that burn processor time in functions with names, memory that stays.
#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "actors/shell/current_actor.hpp"
#include "cluster/profile/profiler.hpp"

using namespace troupe;
using namespace troupe::profile;

std::atomic<bool> stop_burning{false};
std::atomic<double> burnt{0};

// Not static and not inlined: their names are looked for.
__attribute__((noinline)) void burn_in_a_named_function() {
  volatile double x = 0;
  while (!stop_burning)
    for (int i = 0; i < 10'000; ++i) x = x + i;
  burnt = burnt + x;
}

__attribute__((noinline)) void* keep_in_a_named_function(std::size_t bytes) {
  void* memory = heap::watched(std::malloc(bytes), bytes);
  asm volatile("" : : "r"(memory) : "memory");
  return memory;
}

__attribute__((noinline)) void drop_in_a_named_function(void* memory) {
  heap::forgotten(memory);
  std::free(memory);
}

namespace {

struct burner {
  explicit burner(const char* name, const char* actor = "", bool blocks = false) {
    stop_burning = false;
    thread = std::thread([name, actor, blocks] {
      ::pthread_setname_np(::pthread_self(), name);
      sigset_t all;
      ::sigfillset(&all);
      if (blocks) ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
      const working_for mine{actor};
      burn_in_a_named_function();
    });
  }
  ~burner() {
    stop_burning = true;
    thread.join();
  }
  std::thread thread;
};

result<proto::NodeProfile> profile_of(profiler& of, proto::ProfileKind kind,
                                      std::uint32_t seconds = 1) {
  proto::ReadProfile asked;
  asked.set_seconds(seconds);
  asked.set_kind(kind);
  std::optional<result<proto::NodeProfile>> out;
  std::mutex guard;
  std::condition_variable came;
  const status begun = of.begin(asked, "test", [&](result<proto::NodeProfile> told) {
    const std::lock_guard lock{guard};
    out.emplace(std::move(told));
    came.notify_all();
  });
  if (!begun) return begun.failure();
  std::unique_lock lock{guard};
  came.wait(lock, [&] { return out.has_value(); });
  return std::move(*out);
}

std::uint64_t value_with(const proto::NodeProfile& told, const std::string& what) {
  std::uint64_t out = 0;
  const auto stacks = folded_stacks::read(told.folded());
  REQUIRE(stacks);
  for (const auto& [stack, value] : stacks->all())
    if (stack.find(what) != std::string::npos) out += value;
  return out;
}

}  // namespace

TEST_CASE(
    "a thread that burns time is found in its function, under its thread's and actor's name") {
  profiler of("here");
  const burner busy("burner", "inference");
  const auto told = profile_of(of, proto::PROFILE_CPU);
  REQUIRE(told);
  CHECK(told->node() == "here");
  CHECK(told->unit() == "samples");
  CHECK(told->lasted_ms() >= 990);
  CHECK(told->cpu_us() > 0);
  const std::uint64_t burning = value_with(*told, "burn_in_a_named_function");
  CHECK_MESSAGE(burning > 10, told->folded());
  CHECK_MESSAGE(burning * 2 > told->samples(), told->folded());
  CHECK(value_with(*told, "burner;actor inference;") > 0);
  CHECK(told->value() >= told->samples());
  // Callers as well, where the unwinder sees through: not under a sanitizer that delays signals.
#if !defined(__SANITIZE_THREAD__)
  CHECK_MESSAGE(value_with(*told, "start_thread") + value_with(*told, "std::thread::_State") > 0,
                told->folded());
#endif
}

TEST_CASE("time of a thread that takes no signals is told as such, and is nobody else's") {
  profiler of("here");
  const burner seen("seen"), unseen("unseen", "", true);
  const auto told = profile_of(of, proto::PROFILE_CPU);
  REQUIRE(told);
  CHECK_MESSAGE(value_with(*told, "unseen;(takes no signals)") > 10, told->folded());
  CHECK(value_with(*told, "seen;burn_in") + value_with(*told, "burn_in_a_named_function") > 0);
}

TEST_CASE("threads that begin while the profile lasts are watched too") {
  profiler of("here");
  std::optional<burner> late;
  std::thread begins([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    late.emplace("latecomer");
  });
  const auto told = profile_of(of, proto::PROFILE_CPU);
  begins.join();
  late.reset();
  REQUIRE(told);
  CHECK_MESSAGE(value_with(*told, "latecomer;") > 5, told->folded());
}

TEST_CASE("a second profile is refused, the next one is not, and an idle process says so") {
  profiler of("here");
  proto::ReadProfile asked;
  asked.set_seconds(60);
  std::atomic<int> ended{0};
  error heard;
  {
    profiler busy("busy");
    REQUIRE(busy.begin(asked, "test", [&](const result<proto::NodeProfile>& told) {
      heard = told.failure();
      ++ended;
    }));
    const status second = busy.begin(asked, "test", [](const auto&) {});
    REQUIRE_FALSE(second);
    CHECK(second.failure().code == error_code::already_exists);
    CHECK(second.failure().message.find("busy") != std::string::npos);
    // Another profiler of the same process cannot have the timers either.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto other = profile_of(of, proto::PROFILE_CPU);
    REQUIRE_FALSE(other);
    CHECK(other.failure().code == error_code::already_exists);
  }
  CHECK(ended == 1);
  CHECK(heard.code == error_code::unavailable);
  const auto idle = profile_of(of, proto::PROFILE_CPU);
  REQUIRE(idle);
  REQUIRE(idle->notes_size() > 0);
  CHECK(idle->notes(0).find("hardly any") != std::string::npos);
  ::raise(SIGPROF);  // one that comes late, or from somebody else, ends nothing
}

TEST_CASE("what is odd about a profile is told") {
  const auto none = cpu_notes({{"a", 900'000, 0, 0}}, 900'000);
  REQUIRE(none.size() == 1);
  CHECK(none[0].find("no sample came although") != std::string::npos);
  const auto coarse = cpu_notes({{"a", 5'000'000, 40, 0}}, 5'000'000);
  REQUIRE(coarse.size() == 1);
  CHECK(coarse[0].find("coarse") != std::string::npos);
  const auto full = cpu_notes({{"a", 1'000'000, 70, 30}}, 1'000'000);
  REQUIRE(full.size() == 1);
  CHECK(full[0].find("30 samples") != std::string::npos);
  CHECK(cpu_notes({{"a", 1'000'000, 95, 0}, {"zmq", 1'000'000, 0, 0}}, 2'000'000).empty());
}

TEST_CASE("of what is allocated in the window, what lives at its end is told by stack, in bytes") {
  heap::operators_here = true;
  void* const before = keep_in_a_named_function(8 << 20);
  REQUIRE(begin_heap_sampling());
  CHECK_FALSE(begin_heap_sampling());
  std::vector<void*> kept, gone;
  for (int i = 0; i < 4'000; ++i) {  // 64 MiB of each
    kept.push_back(keep_in_a_named_function(16 << 10));
    gone.push_back(std::malloc(16 << 10));
    heap::watched(gone.back(), 16 << 10);
  }
  for (void* memory : gone) drop_in_a_named_function(memory);
  drop_in_a_named_function(before);
  const heap_samples samples = end_heap_sampling();
  for (void* memory : kept) drop_in_a_named_function(memory);
  CHECK(samples.taken > 100);
  CHECK(samples.dropped == 0);
  std::uint64_t bytes = 0;
  for (const heap_sample& one : samples.alive) bytes += one.bytes;
  CHECK(bytes > (40u << 20));  // 64 MiB: each of about 128 samples stands for half a MiB
  CHECK(bytes < (96u << 20));
  CHECK(end_heap_sampling().alive.empty());
}

TEST_CASE("a heap profile names who keeps, and a program without operators refuses") {
  profiler of("here");
  heap::operators_here = false;
  const auto refused = profile_of(of, proto::PROFILE_HEAP);
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::unsupported);
  heap::operators_here = true;
  std::vector<void*> kept;
  std::thread keeper([&] {
    for (int i = 0; i < 400; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      kept.push_back(keep_in_a_named_function(64 << 10));
    }
  });
  const auto told = profile_of(of, proto::PROFILE_HEAP);
  keeper.join();
  for (void* memory : kept) drop_in_a_named_function(memory);
  REQUIRE(told);
  CHECK(told->unit() == "bytes");
  CHECK(told->samples() > 5);
  CHECK_MESSAGE(value_with(*told, "keep_in_a_named_function") > (5u << 20), told->folded());
}

TEST_CASE("many threads allocate and free while the heap is sampled, and nothing is lost") {
  heap::operators_here = true;
  REQUIRE(begin_heap_sampling());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      std::vector<void*> mine;
      for (int i = 0; i < 20'000; ++i) {
        mine.push_back(keep_in_a_named_function(8 << 10));
        if (mine.size() > 64) {
          drop_in_a_named_function(mine.front());
          mine.erase(mine.begin());
        }
      }
      for (void* memory : mine) drop_in_a_named_function(memory);
    });
  for (std::thread& one : threads) one.join();
  const heap_samples samples = end_heap_sampling();
  CHECK(samples.taken > 500);  // of 625 MiB
  CHECK(samples.alive.empty());
}
