// What each job of this node's gateway went through, as steps, in bounded memory.
//
// Running jobs are kept while there are at most stories_running_max; the oldest then counts as
// abandoned. Of ended ones the last stories_ended_max are kept, and apart from these as many that
// failed, were slow or went on elsewhere, so that a flood of good ones does not wash them out.
// Pure; one thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/core.hpp"
#include "actors/monitoring/telemetry_bounds.hpp"

namespace troupe {

struct job_story {
  std::string id;
  proto::TraceContext trace;  // of the root span
  std::uint64_t parent_span = 0;
  std::string gateway;
  std::vector<proto::ObserveStep> steps;
  std::uint32_t steps_left_out = 0;
  std::optional<proto::JobFinished> finished;
  std::string model;
  std::uint64_t began_us = 0, ended_us = 0;  // the gateway's clock; ended 0: it goes on

  bool ended() const { return ended_us != 0; }
  bool failed() const;
  bool went_on_elsewhere() const;
  std::uint64_t lasted_us() const { return ended_us > began_us ? ended_us - began_us : 0; }
};

class job_stories {
 public:
  // told: each story once, when it has ended. slow: from when on an ended one counts as slow.
  job_stories(std::string node, std::chrono::microseconds slow,
              std::function<void(const job_story&)> told)
      : node_(std::move(node)), slow_(slow), told_(std::move(told)) {}

  void step(const proto::ObserveStep& step, const proto::TraceContext& trace);
  void ended(const proto::JobFinished& finished, const std::string& model, time_point_us now);

  const job_story* find(std::string_view id) const;
  const job_story* newest_with_prefix(std::string_view prefix) const;
  std::size_t kept() const { return running_.size() + plain_.size() + notable_.size(); }

 private:
  void close(std::map<std::string, job_story>::iterator at, std::uint64_t now_us);
  job_story& running(const std::string& id, std::uint64_t at_us);

  std::string node_;
  std::chrono::microseconds slow_;
  std::function<void(const job_story&)> told_;
  std::map<std::string, job_story> running_;
  std::deque<job_story> plain_, notable_;
};

}  // namespace troupe
