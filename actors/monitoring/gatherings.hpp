// Requests that are answered from several nodes' answers: stories, history, log lines.
//
// Each asks the nodes that are up, and is answered when all have, or after peers_wait, with what
// came; a story as soon as one node has it. Bounded by readers_waiting_max. Pure; one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/monitoring_settings.hpp"

namespace troupe {

class gatherings {
 public:
  struct effects {
    std::vector<envelope_ptr> questions, answers;
  };
  explicit gatherings(const monitoring_settings& settings) : settings_(settings) {}

  std::size_t waiting() const { return open_.size(); }
  // own: this node's answer, where it has one.
  effects begin(const envelope_ptr& request, const std::vector<std::string>& nodes,
                const proto::Envelope* own, std::uint64_t& last_correlation, time_point_us now);
  // False: nobody waits for it.
  bool take(const proto::Envelope& reply, effects& out);
  effects tick(time_point_us now);

 private:
  struct gathering {
    envelope_ptr request;
    proto::Envelope answer;  // so far
    bool found = false;      // a story
    std::map<std::uint64_t, std::string> waiting;
    time_point_us until{};
  };
  void add(gathering& to, const proto::Envelope& part);
  envelope_ptr close(gathering& done) const;

  const monitoring_settings settings_;
  std::map<std::uint64_t, gathering> open_;
  std::uint64_t next_ = 1;
};

}  // namespace troupe
