// What the jobs that ended here took, since the monitoring actor began: names and meanings of
// vLLM, for Prometheus.
//
// Bounded: at most models_max models have rows of their own; the rest count as "other". One thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "proto/monitoring.pb.h"

namespace troupe {

struct histogram_kind {
  const char* name;  // without prefix: "e2e_request_latency_seconds"
  const char* about;
  std::span<const double> edges;  // rising
};
// In the order of ModelMetrics.histograms.
std::span<const histogram_kind> job_histograms();

class job_metrics {
 public:
  static constexpr std::size_t models_max = 64;

  void job_ended(const std::string& model, const proto::JobFinished& finished);
  void write(proto::NodeMetrics& to) const;

 private:
  std::map<std::string, proto::ModelMetrics> models_;
};

}  // namespace troupe
