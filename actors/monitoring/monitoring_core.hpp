// Monitoring, pure: counts jobs, keeps percentiles and busy shares, and answers ReadStatus and
// ReadMetrics from what it knows.
//
// Either makes it ask the model loader and the cache tier; it answers when both have replied
// or the wait is over, with their last known answers. Nothing waits for it, and all it holds is
// bounded. Threading: one thread.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/job_metrics.hpp"
#include "actors/monitoring/monitoring_settings.hpp"
#include "actors/monitoring/sliding_histogram.hpp"

namespace troupe {

// An actor's gauge as read at one moment.
struct gauge_reading {
  std::string name;
  bool alive = false;
  std::uint32_t restarts = 0;
  std::uint64_t mailbox_depth = 0, messages = 0, busy_us = 0;
};

class monitoring_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::vector<envelope_ptr> answers;  // to answer now: ReadStatus with status(), ReadMetrics
                                        // with write_metrics() beside
  };

  explicit monitoring_core(const monitoring_settings& settings);

  effects step(const envelope_ptr& message, time_point_us now);
  effects tick(time_point_us now);
  void read_gauges(const std::vector<gauge_reading>& gauges, time_point_us now);

  // What the core knows; the shell adds what its node knows.
  proto::NodeStatus status(time_point_us now) const;
  // Its part of NodeMetrics: the jobs.
  void write_metrics(proto::NodeMetrics& to) const { metrics_.write(to); }

 private:
  struct sample {
    time_point_us at{};
    std::uint64_t busy_us = 0;
  };
  struct watched {
    gauge_reading last;
    std::deque<sample> samples;  // of the last busy window
  };
  void observe(const proto::ObserveJob& told, time_point_us now);
  void ask(effects& out, time_point_us now);
  bool reply_arrived(const proto::Envelope& message);
  effects answer_all();

  monitoring_settings settings_;
  proto::JobCounters jobs_;
  job_metrics metrics_;
  sliding_histogram first_token_, inter_token_, total_;
  std::vector<std::string> order_;
  std::map<std::string, watched> actors_;
  std::optional<proto::ModelList> models_;
  std::optional<proto::CacheStatus> cache_;
  std::vector<envelope_ptr> readers_;
  std::uint64_t last_correlation_ = 0;
  std::uint64_t models_asked_ = 0, cache_asked_ = 0;  // correlations still open; 0: none
  time_point_us asked_at_{};
};

}  // namespace troupe
