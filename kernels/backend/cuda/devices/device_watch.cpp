#include "kernels/backend/cuda/devices/device_watch.hpp"

#include <utility>

namespace troupe::kernels::cuda {
namespace {

std::int64_t now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

}  // namespace

device_watch::device_watch(const watch_settings& settings, presence_of ask, ending lost)
    : settings_(settings), lost_(std::move(lost)) {
  if (settings.deadline.count() > 0)
    clock_ = std::jthread([this](std::stop_token stop) { look(std::move(stop), {}); });
  if (ask)
    asking_ = std::jthread(
        [this, ask = std::move(ask)](std::stop_token stop) { look(std::move(stop), ask); });
}

// The threads end before what they use.
device_watch::~device_watch() {
  asking_ = {};
  clock_ = {};
}

void device_watch::begin() {
  begun_us_.store(now_us(), std::memory_order_relaxed);
}

std::chrono::milliseconds device_watch::running() const {
  const std::int64_t begun = begun_us_.load(std::memory_order_relaxed);
  return std::chrono::milliseconds(begun == 0 ? 0 : (now_us() - begun) / 1000);
}

void device_watch::look(std::stop_token stop, const presence_of& ask) {
  std::unique_lock lock{guard_};
  while (!stop.stop_requested()) {
    ended_.wait_for(lock, stop, settings_.look_every, [] { return false; });
    lock.unlock();
    const std::chrono::milliseconds so_far = running();
    const bool asks = ask && so_far >= settings_.look_every && !stop.stop_requested();
    const device_presence seen = asks ? ask() : device_presence::unknown;
    // The one that asks leaves the time to the other.
    const auto deadline = ask ? std::chrono::milliseconds{0} : settings_.deadline;
    if (verdict_of_step(so_far, deadline, seen) == runtime_verdict::sticky && !told_.exchange(true))
      lost_(seen == device_presence::gone
                ? "the GPU is gone, says its management library"
                : "a step has not ended in " + std::to_string(so_far.count()) + " ms");
    lock.lock();
  }
}

}  // namespace troupe::kernels::cuda
