// A node daemon of the simulation: the real cores behind mailboxes, and the little that their
// shells and the switchboard do around them.
//
// Mirrors cluster/node (switchboard, node_role, daemon) and the role shells: who is told what when
// a link comes or goes, an actor is started again, an envelope finds nobody. Threading: one thread.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "actors/cache_tier/cache_core.hpp"
#include "actors/inference/inference_core.hpp"
#include "actors/model_loader/loader_core.hpp"
#include "cluster/gateway/gateway_core.hpp"
#include "cluster/membership/check_pace.hpp"
#include "cluster/membership/membership_core.hpp"
#include "tests/sim/history.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/redis.hpp"
#include "tests/sim/seam.hpp"
#include "tests/unit/actors/memory_files.hpp"
#include "tests/unit/cluster/simulated_disk.hpp"

namespace troupe::sim {

// What outlives a process: its disk.
struct node_disk {
  std::uint64_t incarnation = 0;
  std::shared_ptr<fakes::memory_files> models;
  cluster::simulated_disk journal;
};

struct node_plan {
  std::string name, address;
  bool computes = true;
  bool uses_redis = true;
  std::uint32_t kv_blocks = 12;
  time_us step_min = 2'000, step_max = 20'000;  // one step of the engine
  std::vector<std::string> dials;
};

// What a node tells the run about itself.
struct node_watch {
  std::function<void(event)> record;
  std::function<void(const std::string& gateway)> poisoned;  // it dies of a job of that gateway
  std::function<bool(const std::string& job_id)> is_poison;
  // Have all others, and there are some, been in touch with that node and this one lately?
  std::function<bool(const std::string& node)> all_others_reach;
};

class node final : public process {
 public:
  node(clockwork& clock, network& net, dice chances, const node_plan& plan,
       const core_settings& settings, const link::link_settings& link, node_disk& disk,
       shared_redis* redis, std::unique_ptr<seam> planted, node_watch watch);
  ~node() override;

  // Faults.
  void restart_actor(part which);  // it crashed; what it held is gone
  // For a while its mailbox takes no grants, and nothing of workers or of gateways.
  void overflow(part which, time_us time);
  void fail_engine_once() { engine_fails_ = true; }
  void mend_engine() { engine_fails_ = false; }        // also a failure that no step has met yet
  void lie(unsigned per_mille) { lies_ = per_mille; }  // of frames: an id changes on its way out

  void report_left_over() const;  // history events of what is not as at the start
  const cluster::cluster_view& sees() const { return *membership_->view(); }

 private:
  struct actor {
    std::deque<std::function<void(time_point_us)>> mailbox;
    std::uint64_t generation = 0;
    bool scheduled = false;
    time_us busy_until = 0;
    time_us tick_every = 100'000;
  };

  void on_up(const link::peer_view& peer) override;
  void on_down(const link::peer_view& peer, const std::string& reason,
               std::vector<envelope_ptr> undelivered) override;
  void on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) override;

  // node.cpp: mailboxes and the switchboard
  actor& of(part which) { return actors_[static_cast<std::size_t>(which)]; }
  void make_core(part which);
  void tell_up(const link::peer_view& peer);
  void notice(part which, std::function<void(time_point_us)> what);
  void run_mailbox(part which);
  void schedule(part which);
  void start_ticking(part which);
  bool overflows(part which, const proto::Envelope& message);
  void deliver(envelope_ptr message);
  void post(part from, envelope_ptr message);
  void send_out(envelope_ptr message);
  void bounce(const proto::Envelope& message, proto::Error::Code code, const std::string& why);
  std::optional<part> part_of(const std::string& actor) const;

  // node_roles.cpp: what the shells do
  void step(part which, const envelope_ptr& message, time_point_us now);
  void tick(part which, time_point_us now);
  void to_gateway(const proto::Envelope& arrived, const envelope_ptr& message, time_point_us now);
  void to_node_actor(const envelope_ptr& message, time_point_us now);
  void to_inference(const envelope_ptr& message, time_point_us now);
  void take(cluster::gateway_effects effects);
  void take(cluster::membership_effects effects);
  void write(const journal::batch& records);
  void tell_recovered();
  void take(inference_core::effects effects);
  void take(cache_core::effects effects, time_point_us now);
  void take(loader_core::effects effects);
  void tell_view();
  void tell_lost(const cluster::node_loss& loss);
  void ask_for_models(time_point_us now);
  void tell_restart(const std::string& actor);
  void work();
  void begin_step(time_point_us now);
  void record_outgoing(part from, const proto::Envelope& message);

  const node_plan plan_;
  core_settings settings_;
  node_disk& disk_;
  node_watch watch_;
  std::unique_ptr<seam> seam_;
  std::array<actor, 5> actors_;
  std::optional<cluster::gateway_core> gateway_;
  std::optional<cluster::membership_core> membership_;
  std::optional<inference_core> inference_;
  std::optional<cache_core> cache_;
  std::optional<loader_core> loader_;
  std::unique_ptr<redis_door> redis_;
  std::map<std::string, std::unique_ptr<fakes::prf_engine>> engines_;
  std::map<std::string, link::peer_view> peers_;
  std::set<std::string> gone_;  // peers whose session ended, and that have not come again
  std::map<std::string, time_point_us> heard_;  // peers' actors, since the node actor looked
  std::map<part, std::uint32_t> restarts_;
  bool working_ = false;
  bool engine_fails_ = false;
  unsigned lies_ = 0;
  std::map<part, time_us> overflows_until_;
  bool sync_asked_ = false;
  std::uint64_t correlation_ = 0;
  cluster::check_pace models_pace_;
};

}  // namespace troupe::sim
