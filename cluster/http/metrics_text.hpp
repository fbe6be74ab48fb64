// What this node's HTTP door has served, as Prometheus text: names and meanings of vLLM, prefix
// troupe_.
//
// Bounded: at most models_max models have rows of their own; the rest count as "other". Threading:
// any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "proto/job.pb.h"
#include "proto/monitoring.pb.h"

namespace troupe::http {

struct live_counts {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;  // whose answers are being computed
  std::uint64_t refused = 0;   // for a full queue
  bool draining = false;
};

class serving_metrics {
 public:
  static constexpr std::size_t models_max = 64;

  void job_ended(const std::string& model, const proto::JobFinished& finished);
  void request_failed(const std::string& model);
  // `status`: the cluster as the gateway sees it.
  std::string text(const proto::ClusterStatus& status, const std::string& node,
                   const live_counts& now) const;

 private:
  struct histogram {
    std::vector<std::uint64_t> buckets;
    std::uint64_t count = 0;
    double sum = 0;
    void observe(double value, std::size_t row);
  };
  struct model_row {
    std::map<std::string, std::uint64_t> ended;  // by reason
    std::uint64_t prompt_tokens = 0, generation_tokens = 0, cached_prompt_tokens = 0;
    std::array<histogram, 8> histograms;
  };
  model_row& row_of(const std::string& model);

  mutable std::mutex guard_;
  std::map<std::string, model_row> models_;
};

}  // namespace troupe::http
