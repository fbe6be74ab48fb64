// How fast running jobs make tokens: from two readings at least interval apart; until there are,
// what a job has made since it left the queue. Pure.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "actors/core.hpp"

namespace troupe {

class job_rates {
 public:
  static constexpr std::chrono::milliseconds interval{800}, age_min{100};

  void feed(const proto::JobsShown& shown, time_point_us now) {
    std::map<std::string, progress> next;
    for (const proto::JobShown& job : shown.jobs()) {
      const auto known = jobs_.find(job.job_id());
      progress at = known == jobs_.end() ? progress{now, job.answer_tokens(), since_begin(job)}
                                         : known->second;
      if (now - at.at >= interval) {
        const std::uint32_t grown = job.answer_tokens() - std::min(job.answer_tokens(), at.tokens);
        at = {now, job.answer_tokens(), grown * 1e6 / static_cast<double>((now - at.at).count())};
      }
      next[job.job_id()] = at;
    }
    jobs_ = std::move(next);
  }
  double of(const std::string& job_id) const {
    const auto known = jobs_.find(job_id);
    return known == jobs_.end() ? 0 : known->second.rate;
  }

 private:
  struct progress {
    time_point_us at{};
    std::uint32_t tokens = 0;
    double rate = 0;
  };
  static double since_begin(const proto::JobShown& job) {
    const double us = static_cast<double>(job.age_ms()) * 1e3 - static_cast<double>(job.queue_us());
    return us < static_cast<double>(std::chrono::microseconds(age_min).count())
               ? 0
               : job.answer_tokens() * 1e6 / us;
  }
  std::map<std::string, progress> jobs_;  // as many as the last reading had
};

}  // namespace troupe
