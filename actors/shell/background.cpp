#include "actors/shell/background.hpp"

#include <pthread.h>

namespace troupe {

background_thread::background_thread() : queue_(std::make_shared<queue>()) {
  thread_ = std::thread{[shared = queue_] {
    ::pthread_setname_np(::pthread_self(), "background");
    std::unique_lock lock{shared->guard};
    for (;;) {
      shared->wake.wait(lock, [&] { return shared->ending || !shared->tasks.empty(); });
      if (shared->ending) return;
      const std::function<void()> task = std::move(shared->tasks.front());
      shared->tasks.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }};
}

background_thread::~background_thread() {
  {
    const std::lock_guard lock{queue_->guard};
    queue_->ending = true;
    queue_->tasks.clear();
  }
  queue_->wake.notify_one();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void background_thread::run(std::function<void()> task) {
  {
    const std::lock_guard lock{queue_->guard};
    queue_->tasks.push_back(std::move(task));
  }
  queue_->wake.notify_one();
}

}  // namespace troupe
