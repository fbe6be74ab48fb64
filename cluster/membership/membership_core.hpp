// Who is in the cluster, who is up, what each node has and how busy it is.
//
// A full mesh: each node beats to each other one, and a beat is answered by the node actor, not by
// the I/O thread. Whatever else a peer's actors send counts as a beat, too. A peer whose beats stay
// away is suspect and gets no new work; it is lost when its link session ends, or when its silence
// is too unlikely (accrual_detector.hpp) and no other node that is up hears it either, or after
// down_after, whoever hears it. A peer that does not echo our beats is treated alike: a cable that
// is cut one way is cut. States and events: membership_states.hpp.
//
// An incarnation that another process of that name has followed never returns. A process that was
// only cut off, or silent, comes back under the incarnation that it has: whoever had given it work
// was told that it is lost, and takes nothing that comes under an old fence.
//
// Invariants: a member's incarnation never falls; an up member has a link session; the own node is
// always up. Bounds: the mesh is made for 64 nodes; members_max names, duties_max open probes.
// Threading: none; a pure core (actors/core.hpp). Units: microseconds since the process began.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/core.hpp"
#include "cluster/membership/accrual_detector.hpp"
#include "cluster/membership/address_book.hpp"
#include "cluster/membership/local_health.hpp"
#include "cluster/membership/membership_states.hpp"
#include "cluster/membership/node_view.hpp"

namespace troupe::cluster {

struct member {
  std::string name;
  std::string address;  // as that node tells it, else as the link knows it
  std::uint64_t incarnation = 0;
  bool self = false;
  bool up = false;
  bool suspect = false;   // up, but takes no new work
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
  std::uint64_t restarts = 0;      // of this core, within the incarnation
  std::vector<std::string> peers;  // configured addresses
  bool learns_peers = true;        // and dials them
  std::chrono::milliseconds heartbeat_interval{250};
  std::chrono::milliseconds pause_max{1'000};
  std::chrono::milliseconds down_after{2'500};
  std::chrono::milliseconds left_kept{60'000};     // a node that left is shown for so long
  std::chrono::milliseconds away_kept{3'600'000};  // and one that is lost

  std::chrono::microseconds tick_every() const;
};

enum class loss_cause { session_ended, started_again, unreachable, silent, left };

struct node_loss {
  std::string node;
  loss_cause cause = loss_cause::session_ended;
  std::string reason;

  // Its process ended, and what it ran may be why. A node that fell silent may have been stopped,
  // or cut off.
  bool died() const {
    return cause == loss_cause::session_ended || cause == loss_cause::started_again;
  }
  friend bool operator==(const node_loss&, const node_loss&) = default;
};

struct membership_effects {
  std::vector<envelope_ptr> messages;
  std::vector<std::string> came_up, suspected, cleared;  // nodes
  std::vector<node_loss> lost;
  std::vector<std::string> dial, hang_up;  // addresses
  bool view_changed = false;
};

class membership_core {
 public:
  static constexpr std::size_t members_max = 256, duties_max = 256;

  explicit membership_core(membership_settings settings);

  membership_effects link_up(const std::string& node, std::uint64_t incarnation,
                             const std::string& address, time_point_us now);
  membership_effects link_down(const std::string& node, std::uint64_t incarnation,
                               const std::string& reason, time_point_us now);
  // Any envelope from that node to this core; what went to others is told by frame_from, with the
  // time at which it came.
  membership_effects heard(const std::string& node, const proto::Envelope& message,
                           time_point_us now);
  membership_effects frame_from(const std::string& node, time_point_us came, time_point_us now);
  // What this node itself has. New models and draining go out at once, the rest with the next beat.
  membership_effects own_models(std::vector<proto::ModelDescription> models, time_point_us now);
  membership_effects own_draining(bool draining, time_point_us now);
  void own_load(node_load load);
  void own_prefixes(std::vector<std::uint64_t> prefixes);
  void own_address(const std::string& address);
  membership_effects tick(time_point_us now);

  cluster_view_ptr view() const { return view_; }
  int health_score() const { return health_.score(); }
  // unknown: nullopt.
  std::optional<member_state> state_of(const std::string& node) const;

 private:
  // Asking others about a suspect.
  struct probing {
    std::uint64_t round = 0;
    bool open = false;
    std::set<std::string> asked;  // that have not answered
    std::size_t asked_count = 0;
    std::string reached_by;  // in that round; empty: nobody
    time_point_us ends{}, next{};
  };
  struct peer_state {
    std::string address;  // as the link knows it
    member_state state = member_state::away;
    time_point_us since{};  // in that state
    time_point_us heard{};
    accrual_detector beats;
    std::optional<time_point_us> last_beat;
    std::uint64_t sequence_sent = 0, sequence_seen = 0;
    std::deque<std::pair<std::uint64_t, time_point_us>> unechoed;  // beats sent, oldest first
    std::uint64_t view_acknowledged = 0;
    heard_views views;
    time_point_us beat_sent{};
    probing probe;
  };
  // A probe of somebody else's that waits here for its answer.
  struct duty {
    std::string asker;
    proto::ProbePeer question;
    time_point_us since{}, until{};
  };
  struct verdict {
    member_event event;
    loss_cause cause;
    std::string reason;
  };

  member& own();
  // Runs the table; `why` is told where somebody is lost.
  void move(member& m, peer_state& peer, const verdict& why, time_point_us now,
            membership_effects& out);
  void arrived(member& m, peer_state& peer, time_point_us came, time_point_us now,
               membership_effects& out);
  void watch(member& m, peer_state& peer, time_point_us now, membership_effects& out);
  std::optional<verdict> judge(const peer_state& peer, time_point_us now) const;
  void excuse(time_point_us late, time_point_us now);
  void forget_expired(time_point_us now, membership_effects& out);
  void look_at_addresses(time_point_us now, membership_effects& out);

  // membership_beats.cpp
  time_point_us silence(const peer_state& peer, time_point_us now) const;
  time_point_us deafness(const peer_state& peer, time_point_us now) const;
  bool overdue(const peer_state& peer, time_point_us of) const;
  void take_heartbeat(member& m, peer_state& peer, const proto::Heartbeat& beat, time_point_us now);
  void show(const peer_state& peer, member& m);
  void beat(const std::string& node, peer_state& peer, time_point_us now, membership_effects& out);
  void beat_at_once(time_point_us now, membership_effects& out);
  node_view own_view() const;
  std::shared_ptr<proto::Envelope> to_node(const std::string& node) const;
  membership_effects shown(membership_effects out);  // with the view, where it changed

  // membership_probes.cpp
  std::vector<std::string> other_ears(const std::string& but) const;
  void probe(const member& m, peer_state& peer, time_point_us now, membership_effects& out);
  void take_question(const std::string& asker, const proto::ProbePeer& question, time_point_us now,
                     membership_effects& out);
  void take_answer(const std::string& from, const proto::ProbeAnswer& answer, time_point_us now);
  void answer(const std::string& asker, const proto::ProbePeer& question, bool heard,
              membership_effects& out) const;
  void answer_those_who_ask_for(const std::string& node, time_point_us came,
                                membership_effects& out);
  void expire_duties(time_point_us now, membership_effects& out);

  const membership_settings settings_;
  const time_point_us interval_;
  std::map<std::string, member> members_;
  std::map<std::string, peer_state> peers_;
  std::vector<duty> duties_;
  local_health health_;
  address_book book_;
  told_views told_;
  bool own_changed_ = true;
  bool view_changed_ = true;
  bool view_stale_ = false;  // load or names changed: shown with the next tick
  std::optional<time_point_us> looked_at_addresses_;
  std::uint64_t rounds_ = 0;
  cluster_view_ptr view_;
};

}  // namespace troupe::cluster
