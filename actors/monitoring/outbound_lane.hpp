// A thread that posts what it is given to one place, in order, and loses it rather than hold
// anybody up.
//
// offer() never waits: with queue_max bodies waiting, the new one is dropped and counted. A body
// that could not be delivered is tried `tries` times, with growing pauses, then dropped and
// counted. Ends within end_wait, whatever the other side does: a thread that hangs is left behind
// with its own state. Threading: any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "config/outcome.hpp"

namespace troupe {

struct outbound_settings {
  std::size_t queue_max = 64;
  int tries = 1;
  std::chrono::milliseconds post_wait{2'000}, pause{250}, pause_max{10'000}, end_wait{200};
};

class outbound_lane {
 public:
  // Delivers one body, or says why not; may block.
  using delivery = std::function<status(const std::string& body)>;

  outbound_lane(outbound_settings settings, delivery deliver);
  // By POST; 2xx counts as delivered.
  static result<std::unique_ptr<outbound_lane>> to(const std::string& url, std::string content_type,
                                                   outbound_settings settings = {});
  ~outbound_lane();
  outbound_lane(const outbound_lane&) = delete;
  outbound_lane& operator=(const outbound_lane&) = delete;

  bool offer(std::string body, std::uint64_t weight = 1);  // weight: what the counters count it as

  std::uint64_t delivered() const;
  std::uint64_t dropped() const;
  std::size_t waiting() const;
  std::string last_failure() const;

 private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

}  // namespace troupe
