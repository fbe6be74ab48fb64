// Monitoring, pure: counts jobs, keeps percentiles, stories and history, and answers readers from
// what it knows, for this node or for the whole cluster.
//
// A reader makes it ask the model loader, the cache tier and the gateway; it answers when they have
// replied or the wait is over, with their last known answers. Who asks for the cluster waits for
// the other nodes as well, within peers_wait (peer_parts, gatherings). Nothing waits for it, and
// all it holds is bounded (telemetry_bounds.hpp). Its grammar is in proto/telemetry.proto and
// proto/monitoring.proto. Threading: one thread.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/alert_rules.hpp"
#include "actors/monitoring/gatherings.hpp"
#include "actors/monitoring/history.hpp"
#include "actors/monitoring/job_metrics.hpp"
#include "actors/monitoring/job_rates.hpp"
#include "actors/monitoring/job_stories.hpp"
#include "actors/monitoring/monitoring_settings.hpp"
#include "actors/monitoring/node_rates.hpp"
#include "actors/monitoring/objective_book.hpp"
#include "actors/monitoring/peer_parts.hpp"
#include "actors/monitoring/profile_relay.hpp"
#include "actors/monitoring/sliding_sketch.hpp"
#include "actors/monitoring/trace_batch.hpp"

namespace troupe {

// An actor's gauge as read at one moment.
struct gauge_reading {
  std::string name;
  bool alive = false;
  std::uint32_t restarts = 0;
  std::uint64_t mailbox_depth = 0, messages = 0, busy_us = 0, dropped = 0;
};

class monitoring_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::vector<envelope_ptr> answers;        // requests to answer now, with answer()
    std::vector<envelope_ptr> profiles;       // requests for this node's own
    std::vector<trace_batch::parcel> traces;  // for the collector
  };

  explicit monitoring_core(const monitoring_settings& settings,
                           std::shared_ptr<const log_ring> log = nullptr);
  monitoring_core(const monitoring_core&) = delete;
  monitoring_core& operator=(const monitoring_core&) = delete;

  effects step(const envelope_ptr& message, time_point_us now);
  effects tick(time_point_us now);
  void nodes_changed(const std::vector<peer_seen>& nodes, time_point_us now);
  void read_gauges(const std::vector<gauge_reading>& gauges, time_point_us now);
  // The wall clock minus the core's clock, in microseconds.
  void tell_wall_offset(std::int64_t us) { wall_offset_us_ = us; }
  // What the shell counts: observations_dropped, spans_exported and _export_dropped, alerts_sent
  // and _send_failed.
  void tell_cost(const proto::MonitoringCost& outside) { outside_ = outside; }

  // What the core knows; the shell adds what its node knows, and hands it to the next three.
  proto::NodeStatus status(time_point_us now) const;
  bool sample_due(time_point_us now) const { return history_.due(now); }
  // What is to be told as an alert.
  std::vector<proto::Alert> sample(const proto::NodeStatus& status, time_point_us now);
  // To one of effects.answers. engines: its engines' part, for ReadMetrics and ReadPicture.
  envelope_ptr answer(const proto::Envelope& request, const proto::NodeStatus& status,
                      const proto::NodeMetrics& engines, time_point_us now);

  const job_stories& stories() const { return stories_; }

 private:
  struct busy_sample {
    time_point_us at{};
    std::uint64_t busy_us = 0;
  };
  struct watched {
    gauge_reading last;
    std::deque<busy_sample> samples;  // of the last busy window
  };
  // monitoring_core.cpp
  bool of_own_gateway(const proto::Envelope& message) const;
  void observe(const proto::ObserveJob& told, time_point_us now);
  void read(const envelope_ptr& message, effects& out, time_point_us now);
  void ask_here(bool jobs, effects& out, time_point_us now);
  void ask_gateway(effects& out);
  bool take_from_here(const proto::Envelope& message);
  void take_reply(const proto::Envelope& message, effects& out, time_point_us now);
  void answer_ready(effects& out, time_point_us now);
  void post(std::vector<envelope_ptr> messages, effects& out);
  bool waits_here() const { return models_asked_ || cache_asked_ || jobs_asked_; }

  // monitoring_answers.cpp
  void read_story(const envelope_ptr& message, effects& out, time_point_us now);
  void read_history(const envelope_ptr& message, effects& out, time_point_us now);
  void read_log(const envelope_ptr& message, effects& out, time_point_us now);
  void read_profile(const envelope_ptr& message, effects& out, time_point_us now);
  void gather(const envelope_ptr& message, const proto::Envelope* own,
              const std::vector<std::string>& nodes, effects& out, time_point_us now);
  void write_story(const job_story& story, proto::JobStory& to, time_point_us now) const;
  void write_own_part(const proto::NodeStatus& status, const proto::NodeMetrics& engines,
                      proto::NodePart& to, time_point_us now) const;
  proto::MonitoringCost cost(const proto::NodeStatus& status) const;
  void write_totals(const proto::ClusterPicture& picture, proto::ClusterTotals& to) const;

  monitoring_settings settings_;
  std::shared_ptr<const log_ring> log_;
  proto::JobCounters jobs_;
  job_metrics metrics_;
  sliding_sketch first_token_, inter_token_, total_;
  trace_batch traces_;
  job_stories stories_;
  objective_book objectives_;
  alert_rules rules_;
  alert_book alerts_;
  history history_;
  node_rates rates_;
  peer_parts peers_;
  gatherings gatherings_;
  profile_relay profiles_;
  std::vector<std::string> order_;
  std::map<std::string, watched> actors_;
  std::optional<proto::ModelList> models_;
  std::optional<proto::CacheStatus> cache_;
  std::optional<proto::JobsShown> jobs_shown_;
  job_rates job_rates_;
  std::vector<envelope_ptr> readers_;
  std::uint64_t last_correlation_ = 0;
  std::uint64_t models_asked_ = 0, cache_asked_ = 0, jobs_asked_ = 0;  // 0: none is open
  time_point_us asked_at_{};
  std::int64_t wall_offset_us_ = 0;
  std::uint64_t observations_ = 0, link_bytes_sent_ = 0;
  proto::MonitoringCost outside_;
};

}  // namespace troupe
