// A profile's timers interrupt system calls all the time: no envelope is lost to that, no link
// ends.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <filesystem>
#include <thread>

#include "cluster/link/uninterrupted.hpp"
#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

// Sends SIGPROF to every other thread, as fast as it can.
class signal_storm {
 public:
  signal_storm() {
    struct sigaction quiet {};
    quiet.sa_handler = [](int) {};
    quiet.sa_flags = SA_RESTART;
    ::sigaction(SIGPROF, &quiet, nullptr);
    thread_ = std::thread([this] {
      while (!over_) {
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
          const std::string name = entry.path().filename().string();
          int id = 0;
          std::from_chars(name.data(), name.data() + name.size(), id);
          if (id != ::gettid()) ::syscall(SYS_tgkill, ::getpid(), id, SIGPROF);
        }
      }
    });
  }
  ~signal_storm() {
    over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

TEST_CASE("signals that fall into its calls neither end a session nor lose an envelope") {
  observed_endpoint a("a"), b("b");
  b.events.react([&](const peer_view& from, const envelope_ptr& m) {
    (void)b.link->send(envelope_to(from.who.name, m->correlation())).ok();
  });
  REQUIRE(a.link->connect(b.link->address()).ok());
  REQUIRE(a.events.wait_up());
  const signal_storm storm;
  std::uint64_t sent = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 50; ++i) {
      REQUIRE(a.link->send(envelope_to("b", sent)).ok());
      ++sent;
    }
    REQUIRE(a.events.wait_envelopes(sent));
  }
  const auto back = a.events.envelopes();
  for (std::uint64_t i = 0; i < sent; ++i) CHECK(back[i]->correlation() == i);
  CHECK(a.events.downs().empty());
  CHECK(b.events.downs().empty());
  CHECK(a.events.ups().size() == 1);
}

TEST_CASE("a call that a signal fell into is made again; what else is wrong is told") {
  int calls = 0;
  const auto fails_with = [&](int number, int times) {
    if (++calls > times) return calls;
    errno = number;
    throw zmq::error_t();
  };
  CHECK(uninterrupted([&] { return fails_with(EINTR, 2); }) == 3);
  CHECK_THROWS_AS(uninterrupted([&] { return fails_with(EHOSTUNREACH, 9); }), zmq::error_t);
  CHECK(calls == 4);
}

}  // namespace
}  // namespace troupe::link
