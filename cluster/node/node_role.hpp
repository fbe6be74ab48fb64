// The node actor: answers heartbeats and echoes, keeps the membership, and tells the other actors
// what changed.
//
// It hears of its own model loader what changes, and asks now and then whether it missed something;
// reads the load that the inference actor shows; looks at the disk's free space; dials what the
// membership learnt; and fetches models that the configuration wants loaded and that only another
// node has.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/inference/inference_settings.hpp"
#include "actors/shell/role_actor.hpp"
#include "cluster/audit/audit.hpp"
#include "cluster/chaos/chaos_core.hpp"
#include "cluster/membership/check_pace.hpp"
#include "cluster/membership/membership_core.hpp"
#include "cluster/node/last_heard.hpp"
#include "cluster/node/switchboard.hpp"

namespace troupe::cluster {

// News from the link's I/O thread.
struct peer_came : role_event {
  peer_came(std::string n, std::uint64_t i, std::string a)
      : node(std::move(n)), incarnation(i), address(std::move(a)) {}
  std::string node;
  std::uint64_t incarnation;
  std::string address;
};
struct peer_went : role_event {
  peer_went(std::string n, std::uint64_t i, std::string r)
      : node(std::move(n)), incarnation(i), reason(std::move(r)) {}
  std::string node;
  std::uint64_t incarnation;
  std::string reason;
};
struct node_draining : role_event {};
// Where other nodes are to dial this one.
struct node_listens : role_event {
  explicit node_listens(std::string a) : address(std::move(a)) {}
  std::string address;
};

struct node_role_settings {
  membership_settings membership;
  std::uint32_t sequences_max = 0;   // 0: this node does not compute
  std::vector<std::string> preload;  // names or digests
  bool fetch = true;
  std::chrono::milliseconds preload_retry{5'000};
  std::chrono::milliseconds stop_wait{5'000};  // of a drain that names no time
  std::uint64_t disk_low_bytes = 1u << 30;     // less free space is told in the log
  chaos_settings chaos;
};

// What a node can do to itself; absent where its settings do not allow chaos.
struct chaos_hands {
  std::shared_ptr<link::link_faults> link;
  std::function<void()> crash;                             // does not return
  std::function<void(std::chrono::milliseconds)> restart;  // a drain, with exit_chaos
  chaos_hook told;                                         // beside the log
};

struct node_role_outside {
  switchboard* board = nullptr;
  std::shared_ptr<const inference_load> load;
  std::function<void()>
      models_known;  // called once, when the own models were listed for the first time
  std::function<void(std::chrono::milliseconds)> drain;  // end the process, in order, within that
  audit::log* audit = nullptr;
  std::string audited_by_door;  // sessions named so have been written down where they came in
  std::shared_ptr<last_heard> heard;
  std::function<status(const std::string& address)> dial;
  std::function<void(const std::string& address)> hang_up;
  std::function<bool()> too_warm;                  // a GPU
  std::function<std::uint64_t()> disk_bytes_free;  // where the node keeps its state
  chaos_hands chaos;
};

role_handle spawn_node_role(caf::actor_system& system, const node_role_settings& settings,
                            node_role_outside outside, std::shared_ptr<actor_gauge> gauge);

}  // namespace troupe::cluster
