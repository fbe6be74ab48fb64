// Who is in the cluster, who is up, what each node has and how busy it is.
//
// Peers are static: the node dials the addresses of its configuration, and a peer's name is learnt
// when its link comes up. Liveness is the application's own: a heartbeat every interval, answered
// by the node actor and not by the I/O thread. Any envelope counts as life. A node is lost when its
// link session ends or when it was silent for silence_max; it is up again with the first envelope
// of a session, under the incarnation that the session's hello named.
//
// Invariants: a member's incarnation never falls; an up member has a link session; the own node is
// always up. Threading: none; a pure core (actors/core.hpp). Units: microseconds since the process
// began.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/core.hpp"

namespace troupe::cluster {

struct node_load {
  std::uint32_t sequences_running = 0;
  std::uint32_t sequences_waiting = 0;
  std::uint32_t sequences_max = 0;  // 0: not known yet
  double decode_tokens_per_second = 0;

  friend bool operator==(const node_load&, const node_load&) = default;
};

struct member {
  std::string name;
  std::string address;  // as the link knows it
  std::uint64_t incarnation = 0;
  bool self = false;
  bool up = false;
  bool draining = false;  // takes no new work
  node_load load;
  std::vector<proto::ModelDescription> models;
  std::vector<std::uint64_t> prefixes;  // sorted names of KV blocks there (actors/prefix_name.hpp)
};

// An immutable picture of the cluster, ordered by name; the own node is in it.
struct cluster_view {
  std::string self;
  std::vector<member> members;

  const member* find(std::string_view name) const;
};
using cluster_view_ptr = std::shared_ptr<const cluster_view>;

struct membership_settings {
  std::string self;
  std::uint64_t incarnation = 0;
  std::chrono::milliseconds heartbeat_interval{250};
  std::chrono::milliseconds silence_max{1500};
};

struct membership_effects {
  std::vector<envelope_ptr> messages;
  std::vector<std::string> came_up;       // nodes
  std::vector<std::string> lost;          // nodes
  std::vector<std::string> lost_reasons;  // as long as lost
  bool view_changed = false;
};

class membership_core {
 public:
  explicit membership_core(membership_settings settings);

  membership_effects link_up(const std::string& node, std::uint64_t incarnation,
                             const std::string& address, time_point_us now);
  membership_effects link_down(const std::string& node, std::uint64_t incarnation,
                               const std::string& reason, time_point_us now);
  // Any envelope from that node, heartbeats included.
  membership_effects heard(const std::string& node, const proto::Envelope& message,
                           time_point_us now);
  // What this node itself has. New models and draining go out at once, the rest with the next beat.
  membership_effects own_models(std::vector<proto::ModelDescription> models);
  membership_effects own_load(node_load load);
  membership_effects own_prefixes(std::vector<std::uint64_t> prefixes);
  membership_effects own_draining(bool draining);
  membership_effects tick(time_point_us now);

  cluster_view_ptr view() const { return view_; }

 private:
  struct peer_state {
    bool linked = false;
    time_point_us heard{};
    std::uint64_t sequence_sent = 0;
    std::uint64_t sequence_seen = 0;
    time_point_us beat_sent{};
    bool beaten = false;
  };

  member& own();
  bool take_heartbeat(member& from, peer_state& peer, const proto::Heartbeat& beat);
  void mark_lost(member& node, std::string reason, membership_effects& out);
  envelope_ptr heartbeat_to(const std::string& node, peer_state& peer) const;
  void beat_at_once(membership_effects& out);
  void publish(membership_effects& out);

  membership_settings settings_;
  std::map<std::string, member> members_;
  std::map<std::string, peer_state> peers_;
  cluster_view_ptr view_;
};

}  // namespace troupe::cluster
