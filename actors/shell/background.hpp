// One thread beside an actor for long work (hashing a file, making an engine), so that its mailbox
// stays awake.
//
// Tasks run in order, one at a time, and report back through the actor's own mailbox (notify_self).
// Tasks that have not begun when the background ends are dropped; the running one is waited for.
// Threading: run() from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace troupe {

class background {
 public:
  virtual ~background() = default;
  virtual void run(std::function<void()> task) = 0;
};

class background_thread final : public background {
 public:
  background_thread();
  ~background_thread() override;
  void run(std::function<void()> task) override;

 private:
  // Shared with the thread: the last owner may be the thread itself.
  struct queue {
    std::mutex guard;
    std::condition_variable wake;
    std::deque<std::function<void()>> tasks;
    bool ending = false;
  };
  std::shared_ptr<queue> queue_;
  std::thread thread_;
};

// Runs each task at once, on the caller's thread: for deterministic tests.
class background_inline final : public background {
 public:
  void run(std::function<void()> task) override { task(); }
};

}  // namespace troupe
