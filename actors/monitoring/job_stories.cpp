#include "actors/monitoring/job_stories.hpp"

#include <algorithm>

namespace troupe {
namespace {

bool ends(proto::StepKind kind) {
  return kind == proto::STEP_REFUSED || kind == proto::STEP_ABANDONED;
}

}  // namespace

bool job_story::failed() const {
  if (finished) return finished->reason() == proto::FAILED;
  return !steps.empty() && steps.back().kind() == proto::STEP_REFUSED;
}

bool job_story::went_on_elsewhere() const {
  return std::any_of(steps.begin(), steps.end(), [](const proto::ObserveStep& step) {
    return step.kind() == proto::STEP_ATTEMPT_FAILED;
  });
}

job_story& job_stories::running(const std::string& id, std::uint64_t at_us) {
  const auto known = running_.find(id);
  if (known != running_.end()) return known->second;
  if (running_.size() >= telemetry::stories_running_max) {
    auto oldest = std::min_element(
        running_.begin(), running_.end(),
        [](const auto& a, const auto& b) { return a.second.began_us < b.second.began_us; });
    close(oldest, at_us);
  }
  job_story& fresh = running_[id];
  fresh.id = id;
  fresh.gateway = node_;
  fresh.began_us = at_us;
  return fresh;
}

void job_stories::step(const proto::ObserveStep& step, const proto::TraceContext& trace) {
  if (step.job_id().empty()) return;
  const bool late = step.kind() != proto::STEP_TAKEN && !running_.contains(step.job_id()) &&
                    find(step.job_id()) != nullptr;
  if (late) return;  // its story has ended
  job_story& story = running(step.job_id(), step.at_us());
  if (story.trace.span() == 0) story.trace = trace;
  if (step.kind() == proto::STEP_TAKEN) story.parent_span = step.parent_span();
  if (!step.model().empty()) story.model = step.model();
  if (story.steps.size() < telemetry::story_steps_max || ends(step.kind()))
    story.steps.push_back(step);
  else
    ++story.steps_left_out;
  if (ends(step.kind())) close(running_.find(step.job_id()), step.at_us());
}

void job_stories::ended(const proto::JobFinished& finished, const std::string& model,
                        time_point_us now) {
  const auto known = running_.find(finished.job_id());
  if (known == running_.end()) return;
  job_story& story = known->second;
  story.finished = finished;
  if (!model.empty()) story.model = model;
  close(known, static_cast<std::uint64_t>(now.count()));
}

void job_stories::close(std::map<std::string, job_story>::iterator at, std::uint64_t now_us) {
  job_story story = std::move(at->second);
  running_.erase(at);
  story.ended_us = std::max(now_us, story.began_us + 1);
  if (told_) told_(story);
  const bool notable = story.failed() || story.went_on_elsewhere() ||
                       story.lasted_us() >= static_cast<std::uint64_t>(slow_.count());
  std::deque<job_story>& to = notable ? notable_ : plain_;
  to.push_back(std::move(story));
  if (to.size() > telemetry::stories_ended_max) to.pop_front();
}

const job_story* job_stories::find(std::string_view id) const {
  return id.size() == 16 ? newest_with_prefix(id) : nullptr;
}

const job_story* job_stories::newest_with_prefix(std::string_view prefix) const {
  const job_story* best = nullptr;
  const auto look = [&](const job_story& story) {
    if (std::string_view(story.id).starts_with(prefix) &&
        (!best || story.began_us > best->began_us))
      best = &story;
  };
  for (auto at = running_.lower_bound(std::string(prefix));
       at != running_.end() && at->first.starts_with(prefix); ++at)
    look(at->second);
  for (const auto* kept : {&plain_, &notable_})
    for (const job_story& story : *kept) look(story);
  return best;
}

}  // namespace troupe
