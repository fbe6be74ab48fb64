// Which stories' spans leave for a collector, and how they are written for it (OTLP). Pure; one
// thread.
//
// At the head: a trace that its client sampled, or one of `ratio` of the others, chosen by the
// trace's id, so that every node chooses alike. At the tail: what failed, was slow, or went on
// elsewhere, always.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/monitoring/job_stories.hpp"
#include "actors/monitoring/trace_settings.hpp"
#include "proto/otlp_trace.pb.h"

namespace troupe {

class trace_batch {
 public:
  trace_batch(std::string node, std::string version, trace_settings settings)
      : node_(std::move(node)), version_(std::move(version)), settings_(std::move(settings)) {}

  bool keeps(const job_story& story) const;
  // Of an ended story; counts it as kept or sampled out.
  void add(const job_story& story, std::int64_t wall_offset_us);
  // A request of the collector, where one is due; at most batch_spans_max and one story more.
  struct parcel {
    std::string body;
    std::uint64_t spans = 0;
  };
  std::vector<parcel> take_due(time_point_us now);

  std::uint64_t kept() const { return kept_; }
  std::uint64_t sampled_out() const { return sampled_out_; }

 private:
  parcel close();

  std::string node_, version_;
  trace_settings settings_;
  otlp::ScopeSpans spans_;
  std::vector<parcel> full_;
  time_point_us flushed_at_{};
  std::uint64_t kept_ = 0, sampled_out_ = 0;
};

}  // namespace troupe
