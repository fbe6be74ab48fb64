#include "actors/monitoring/outbound_lane.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "actors/monitoring/http_post.hpp"

namespace troupe {

struct outbound_lane::shared {
  struct parcel {
    std::string body;
    std::uint64_t weight = 1;
  };
  shared(outbound_settings s, delivery d) : settings(s), deliver(std::move(d)) {}

  // False: the lane ends.
  bool sleep(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds pause) {
    wake.wait_for(lock, pause, [&] { return ending; });
    return !ending;
  }

  void run() {
    std::unique_lock lock{guard};
    for (;;) {
      wake.wait(lock, [&] { return ending || !parcels.empty(); });
      if (ending) break;
      const parcel next = std::move(parcels.front());
      parcels.pop_front();
      auto pause = settings.pause;
      bool done = false;
      for (int attempt = 0; attempt < settings.tries && !done && !ending; ++attempt) {
        if (attempt > 0) {
          if (!sleep(lock, pause)) break;
          pause = std::min(pause * 2, settings.pause_max);
        }
        lock.unlock();
        const status told = deliver(next.body);
        lock.lock();
        done = told.ok();
        failure = done ? std::string() : told.failure().message;
      }
      (done ? delivered : dropped) += next.weight;
      failures = done ? 0 : std::min(failures + 1, 16);
      // Who does not take anything is not hurried.
      if (failures > 0 &&
          !sleep(lock, std::min(settings.pause * (1 << std::min(failures, 6)), settings.pause_max)))
        break;
    }
    for (const parcel& left : parcels) dropped += left.weight;
    parcels.clear();
    ended = true;
    over.notify_all();
  }

  const outbound_settings settings;
  const delivery deliver;
  std::mutex guard;
  std::condition_variable wake, over;
  std::deque<parcel> parcels;
  bool ending = false, ended = false;
  int failures = 0;
  std::uint64_t delivered = 0, dropped = 0;
  std::string failure;
};

outbound_lane::outbound_lane(outbound_settings settings, delivery deliver)
    : shared_(std::make_shared<shared>(settings, std::move(deliver))) {
  std::thread([state = shared_] { state->run(); }).detach();
}

outbound_lane::~outbound_lane() {
  std::unique_lock lock{shared_->guard};
  shared_->ending = true;
  shared_->wake.notify_all();
  shared_->over.wait_for(lock, shared_->settings.end_wait, [&] { return shared_->ended; });
}

result<std::unique_ptr<outbound_lane>> outbound_lane::to(const std::string& url,
                                                         std::string content_type,
                                                         outbound_settings settings) {
  const auto place = http_place_of(url);
  if (!place) return place.failure();
  return std::make_unique<outbound_lane>(
      settings,
      [place = *place, type = std::move(content_type),
       wait = settings.post_wait](const std::string& body) -> status {
        const auto told = http_post(place, type, body, wait);
        if (!told) return told.failure();
        if (*told / 100 == 2) return {};
        return error{error_code::unavailable,
                     place.host + ":" + place.port + place.path + " answers with status " +
                         std::to_string(*told),
                     "read its log"};
      });
}

bool outbound_lane::offer(std::string body, std::uint64_t weight) {
  {
    const std::lock_guard lock{shared_->guard};
    if (shared_->ending || shared_->parcels.size() >= shared_->settings.queue_max) {
      shared_->dropped += weight;
      return false;
    }
    shared_->parcels.push_back({std::move(body), weight});
  }
  shared_->wake.notify_all();
  return true;
}

std::uint64_t outbound_lane::delivered() const {
  const std::lock_guard lock{shared_->guard};
  return shared_->delivered;
}

std::uint64_t outbound_lane::dropped() const {
  const std::lock_guard lock{shared_->guard};
  return shared_->dropped;
}

std::size_t outbound_lane::waiting() const {
  const std::lock_guard lock{shared_->guard};
  return shared_->parcels.size();
}

std::string outbound_lane::last_failure() const {
  const std::lock_guard lock{shared_->guard};
  return shared_->failure;
}

}  // namespace troupe
