// What the main thread waits for: signals, and actors that ended.
//
// Threading: actor_ended(), kick() and ask_to_drain() from any thread; the rest from the main
// thread. Signals are blocked in every thread that is made after construction.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class wakeups {
 public:
  wakeups();
  ~wakeups();
  wakeups(const wakeups&) = delete;
  wakeups& operator=(const wakeups&) = delete;

  void actor_ended(std::string name);
  void kick();
  // As a signal to stop, with a time for what runs. The first one counts.
  void ask_to_drain(std::chrono::milliseconds wait_max);

  struct news {
    bool asked_to_stop = false;
    std::optional<std::chrono::milliseconds> asked_to_drain;  // told once
    std::vector<std::string> ended;
  };
  // Returns at the first news, or empty when wait_max has passed.
  news wait(std::chrono::milliseconds wait_max);

 private:
  int signals_ = -1, event_ = -1;
  std::mutex guard_;
  std::vector<std::string> ended_;
  std::optional<std::chrono::milliseconds> drain_;
  bool drain_told_ = false;
};

}  // namespace troupe::cluster
