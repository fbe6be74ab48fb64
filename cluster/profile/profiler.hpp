// Profiles of this node, one at a time: watches for the seconds that were asked for, then tells.
//
// Off, it has no thread, no timer and no buffer. It ends by itself; whether anybody still listens
// does not matter. Threading: begin() from any thread; `done` is called once, on the profiler's own
// thread, where begin() was fine. The destructor ends what runs early: then `done` hears
// unavailable.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/profile/cpu_sampler.hpp"
#include "cluster/profile/folded_stacks.hpp"
#include "cluster/profile/heap_sampler.hpp"
#include "proto/profile.pb.h"

namespace troupe::profile {

class profiler {
 public:
  using done = std::function<void(result<proto::NodeProfile>)>;

  explicit profiler(std::string node) : node_(std::move(node)) {}
  ~profiler();
  profiler(const profiler&) = delete;
  profiler& operator=(const profiler&) = delete;

  // asked.seconds: as read_profile's sender checked them. already_exists, unsupported: see the
  // samplers.
  status begin(const proto::ReadProfile& asked, const std::string& asked_by, done tell);

 private:
  void run(const proto::ReadProfile& asked, const done& tell);
  // True: the profiler ends, not the time.
  bool sleep_until(std::chrono::steady_clock::time_point until);
  result<proto::NodeProfile> watch(const proto::ReadProfile& asked);
  // `over` is called when nothing is watched any more.
  status watch_cpu(std::chrono::steady_clock::time_point until, const std::function<void()>& over,
                   proto::NodeProfile& to);
  status watch_heap(std::chrono::steady_clock::time_point until, const std::function<void()>& over,
                    proto::NodeProfile& to);

  const std::string node_;
  std::mutex guard_;
  std::condition_variable wake_;
  bool ending_ = false, running_ = false;
  std::thread thread_;
};

// What is odd about a profile of processor time, for people.
std::vector<std::string> cpu_notes(const std::vector<thread_use>& threads, std::uint64_t cpu_us);

}  // namespace troupe::profile
