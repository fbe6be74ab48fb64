// Requests for a node's profile: checked, passed on to that node's monitoring actor, and its answer
// passed back.
//
// Each waits the seconds of the profile and answer_slack for its answer, or until its node is down.
// Bounded by waiting_max. Pure; one thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "actors/core.hpp"

namespace troupe {

inline constexpr std::uint32_t profile_seconds_max = 60;

class profile_relay {
 public:
  // For symbols to be read, on a node that is busy.
  static constexpr std::chrono::milliseconds answer_slack{10'000};
  static constexpr std::size_t waiting_max = 16;

  struct effects {
    std::vector<envelope_ptr> posts;
    envelope_ptr here;  // a request that is this node's own to fulfil
  };

  explicit profile_relay(std::string self) : self_(std::move(self)) {}

  effects begin(const envelope_ptr& request, const std::function<bool(const std::string&)>& is_up,
                std::uint64_t& last_correlation, time_point_us now);
  // False: it is no answer to what was passed on.
  bool take(const proto::Envelope& reply, std::vector<envelope_ptr>& posts);
  std::vector<envelope_ptr> tick(const std::function<bool(const std::string&)>& is_up,
                                 time_point_us now);

 private:
  struct waiting_one {
    envelope_ptr request;
    std::string node;
    time_point_us until{};
  };
  const std::string self_;
  std::map<std::uint64_t, waiting_one> waiting_;  // by correlation
};

}  // namespace troupe
