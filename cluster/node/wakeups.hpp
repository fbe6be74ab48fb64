// What the main thread waits for: signals, and actors that ended.
//
// Threading: actor_ended() from any thread; the rest from the main thread. Signals are blocked in
// every thread that is made after construction.
#pragma once

#include <chrono>
#include <mutex>
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

  struct news {
    bool asked_to_stop = false;
    std::vector<std::string> ended;
  };
  // Returns at the first news, or empty when wait_max has passed.
  news wait(std::chrono::milliseconds wait_max);

 private:
  int signals_ = -1, event_ = -1;
  std::mutex guard_;
  std::vector<std::string> ended_;
};

}  // namespace troupe::cluster
