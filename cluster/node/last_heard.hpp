// When each peer's actors were last heard: told by the link's I/O thread, read by the node actor.
// Threading: any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "actors/core.hpp"

namespace troupe::cluster {

class last_heard {
 public:
  void note(const std::string& peer, time_point_us now) {
    const std::lock_guard lock{guard_};
    const auto [at, fresh] = heard_.try_emplace(peer, now);
    if (!fresh) at->second = now;
  }
  // What was noted since the last call.
  std::map<std::string, time_point_us> take() {
    const std::lock_guard lock{guard_};
    return std::exchange(heard_, {});
  }

 private:
  std::mutex guard_;
  std::map<std::string, time_point_us> heard_;
};

}  // namespace troupe::cluster
