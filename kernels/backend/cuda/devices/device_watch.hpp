// Watches a device's steps from threads of its own: one that does not end, or whose device is gone,
// would hold its caller for ever.
//
// A step costs two stores. `ask` may hang with the driver, so that it has a thread apart from the
// one that keeps the time. Threading: begin() and end() by one thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "kernels/backend/cuda/devices/runtime_verdict.hpp"

namespace troupe::kernels::cuda {

struct watch_settings {
  std::chrono::milliseconds deadline{0};  // of a step; 0: none
  std::chrono::milliseconds look_every{1000};
};

class device_watch {
 public:
  using presence_of = std::function<device_presence()>;
  using ending = std::function<void(const std::string& why)>;

  // `lost` is called once at most, on a thread of the watch. Without `ask` presence is unknown.
  device_watch(const watch_settings& settings, presence_of ask, ending lost);
  ~device_watch();
  device_watch(const device_watch&) = delete;
  device_watch& operator=(const device_watch&) = delete;

  void begin();
  void end() { begun_us_.store(0, std::memory_order_relaxed); }

 private:
  std::chrono::milliseconds running() const;
  void look(std::stop_token stop, const presence_of& ask);

  watch_settings settings_;
  ending lost_;
  std::atomic<bool> told_{false};
  std::atomic<std::int64_t> begun_us_{0};  // 0: no step runs
  std::mutex guard_;
  std::condition_variable_any ended_;
  std::jthread clock_, asking_;
};

// A step from here to the end of its scope.
class watched_step {
 public:
  explicit watched_step(device_watch& by) : by_(by) { by_.begin(); }
  ~watched_step() { by_.end(); }
  watched_step(const watched_step&) = delete;
  watched_step& operator=(const watched_step&) = delete;

 private:
  device_watch& by_;
};

}  // namespace troupe::kernels::cuda
