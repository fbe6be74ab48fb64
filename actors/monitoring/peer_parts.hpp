// What the other nodes said of themselves, when, and what is asked of them now.
//
// A round asks each node that is up once; it is over when all have answered or after peers_wait.
// Parts of nodes that are gone are kept for telemetry::nodes_known_for. Pure; one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/monitoring_settings.hpp"

namespace troupe {

class peer_parts {
 public:
  explicit peer_parts(const monitoring_settings& settings) : settings_(settings) {}

  void nodes_changed(const std::vector<peer_seen>& nodes, time_point_us now);
  std::vector<std::string> others_up() const;

  // Begins a round where none is under way and the last is older than peers_fresh; or older still,
  // up to round_pause_max, where rounds would take more than link_share of what the links carry.
  static constexpr double link_share = 0.04;
  static constexpr std::chrono::milliseconds round_pause_max{2'000};
  std::vector<envelope_ptr> ask(double link_bytes_per_second, std::uint64_t& last_correlation,
                                time_point_us now);
  time_point_us round_pause(double link_bytes_per_second) const;
  // False: the reply is not of this round.
  bool take(const proto::Envelope& reply, time_point_us now);
  bool waiting(time_point_us now) const;

  // Adds the parts of all nodes but this one.
  void write(proto::ClusterPicture& to, time_point_us now) const;
  std::vector<peer_seen> seen() const;  // this node as well
  std::set<std::string> were_up() const;
  // Whether this node comes first among those that are up: the one that tells for all.
  bool first_up() const;
  bool knows_as_up(const std::string& node) const;
  const peer_seen& self() const { return self_; }
  std::uint64_t rounds() const { return rounds_; }

 private:
  struct known {
    peer_seen seen;
    proto::NodePart part;  // as heard last
    bool heard = false, silent = false, was_up = false;
    time_point_us heard_at{}, gone_at{};
  };
  void forget_gone(time_point_us now);

  const monitoring_settings settings_;
  std::map<std::string, known> nodes_;
  peer_seen self_;
  std::map<std::uint64_t, std::string> asked_;
  time_point_us asked_at_{};
  bool asked_once_ = false;
  std::uint64_t rounds_ = 0;
  std::uint64_t round_bytes_ = 0;  // of the round under way
  std::uint64_t usual_bytes_ = 0;  // of the one before
};

// An envelope from this node's monitoring actor.
std::shared_ptr<proto::Envelope> from_monitoring(const std::string& self, const std::string& node,
                                                 const char* actor, std::uint64_t correlation,
                                                 std::chrono::milliseconds wait);

}  // namespace troupe
