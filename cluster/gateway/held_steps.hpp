// Jobs' steps on their way to monitoring, in one go: told one by one they would wake its actor some
// ten times a job, which costs more than all that it does with them.
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "actors/core.hpp"

namespace troupe::cluster {

// One thread. Order is kept.
class held_steps {
 public:
  static constexpr std::size_t held_max = 256;

  void hold(std::vector<envelope_ptr> steps) {
    std::move(steps.begin(), steps.end(), std::back_inserter(held_));
  }

  // What is to be told before `messages` are posted: all that is held, where a story ends or the
  // jobs are shown among them, or where it is too much; else nothing yet, and take() at the next
  // tick has it. Ends of stories leave `messages`, last of what is told.
  std::vector<envelope_ptr> before(std::vector<envelope_ptr>& messages) {
    const auto ends = std::stable_partition(
        messages.begin(), messages.end(),
        [](const envelope_ptr& message) { return !message->has_observe_job(); });
    bool due = ends != messages.end() || held_.size() >= held_max ||
               std::any_of(held_.begin(), held_.end(), bounds_story);
    due = due || std::any_of(messages.begin(), ends,
                             [](const envelope_ptr& message) { return message->has_jobs_shown(); });
    hold({std::move_iterator(ends), std::move_iterator(messages.end())});
    messages.erase(ends, messages.end());
    return due ? take() : std::vector<envelope_ptr>{};
  }

  std::vector<envelope_ptr> take() { return std::exchange(held_, {}); }

 private:
  static bool bounds_story(const envelope_ptr& step) {
    const proto::StepKind kind = step->observe_step().kind();
    return kind == proto::STEP_TAKEN || kind == proto::STEP_REFUSED ||
           kind == proto::STEP_ABANDONED;
  }

  std::vector<envelope_ptr> held_;
};

}  // namespace troupe::cluster
