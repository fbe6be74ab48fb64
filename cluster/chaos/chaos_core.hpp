// Faults that a node carries out on itself, where its settings allow it: what is granted to whom,
// and when it ends.
//
// Invariants: nothing is granted unless chaos_settings::enabled. One fault at a time. A fault's end
// is fixed when it is granted, at most fault_lasts_max after its beginning, and needs nobody's
// word: a tool that dies leaves no cluster behind that stays broken. What would take this node out
// is refused where it is the last one up that computes, or where more than half of the nodes would
// be out, as this node sees the cluster. Threading: none; a pure core (actors/core.hpp).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "cluster/membership/membership_core.hpp"

namespace troupe::cluster {

inline constexpr std::chrono::milliseconds fault_lasts_max{60'000};
inline constexpr std::chrono::milliseconds fault_delay_max{5'000};
// Between the reply and the fault, so that the reply gets out.
inline constexpr std::chrono::milliseconds fault_notice{100};

struct chaos_settings {
  std::string self;
  bool enabled = false;
  bool supervised = false;
};

// What somebody asked of chaos here and what came of it: for a log, or a book that nobody can
// change. Refusals are told too.
struct chaos_record {
  std::string what;      // "begun", "ended", "refused"
  std::string fault;     // "pause"
  std::string asked_by;  // a session's or a node's name
  std::chrono::milliseconds lasts{0};
  std::string reason;  // of a refusal
};
using chaos_hook = std::function<void(const chaos_record&)>;

struct granted_fault {
  proto::BeginFault::Kind kind = proto::BeginFault::KIND_UNSPECIFIED;
  std::string asked_by;
  std::vector<std::string> peers;  // of a partition: every one
  std::chrono::milliseconds delay{0};
  time_point_us begins{}, ends{};
};

struct chaos_effects {
  std::vector<envelope_ptr> messages;
  std::vector<chaos_record> records;
  std::optional<granted_fault> granted;  // for the link to carry out between the two moments
  bool lifted = false;                   // the link's is over
  bool crash = false, restart = false;   // now
};

class chaos_core {
 public:
  explicit chaos_core(chaos_settings settings) : settings_(std::move(settings)) {}

  // BeginFault, EndFault, ReadChaos; anything else has no effects.
  chaos_effects receive(const proto::Envelope& message, const cluster_view& view,
                        time_point_us now);
  chaos_effects tick(time_point_us now);

 private:
  struct refusal {
    proto::Error::Code code;
    std::string why, mend;
  };

  void begin(const proto::Envelope& message, const cluster_view& view, time_point_us now,
             chaos_effects& out);
  std::optional<refusal> check(const proto::BeginFault& wish, const cluster_view& view,
                               time_point_us now) const;
  std::optional<refusal> check_peers(const proto::BeginFault& wish, const cluster_view& view) const;
  std::optional<refusal> check_rest(const cluster_view& view) const;  // without this node
  void end(time_point_us now, chaos_effects& out);
  void status(const proto::Envelope& message, const cluster_view& view, time_point_us now,
              chaos_effects& out) const;

  chaos_settings settings_;
  std::optional<granted_fault> running_;
};

std::string name_of(proto::BeginFault::Kind kind);  // "pause"

}  // namespace troupe::cluster
