#include "actors/monitoring/gatherings.hpp"

#include <algorithm>

#include "actors/monitoring/peer_parts.hpp"

namespace troupe {
namespace {

void set_own_only(proto::Envelope& question) {
  if (question.has_read_story()) question.mutable_read_story()->set_own_only(true);
  if (question.has_read_history()) question.mutable_read_history()->set_own_only(true);
  if (question.has_read_log()) question.mutable_read_log()->set_own_only(true);
}

void copy_question(const proto::Envelope& from, proto::Envelope& to) {
  if (from.has_read_story()) *to.mutable_read_story() = from.read_story();
  if (from.has_read_history()) *to.mutable_read_history() = from.read_history();
  if (from.has_read_log()) *to.mutable_read_log() = from.read_log();
  set_own_only(to);
}

void name_silent(const proto::Envelope& request, const std::string& node, proto::Envelope& answer) {
  if (request.has_read_history()) {
    proto::NodeHistory& to = *answer.mutable_cluster_history()->add_nodes();
    to.set_node(node);
    to.set_silent(true);
  }
  if (request.has_read_log()) answer.mutable_log_part()->add_silent(node);
}

}  // namespace

gatherings::effects gatherings::begin(const envelope_ptr& request,
                                      const std::vector<std::string>& nodes,
                                      const proto::Envelope* own, std::uint64_t& last_correlation,
                                      time_point_us now) {
  effects out;
  gathering fresh;
  fresh.request = request;
  fresh.answer = reply_to(*request);
  fresh.until = now + settings_.peers_wait;
  if (own) add(fresh, *own);
  for (const std::string& node : nodes) {
    auto question = from_monitoring(settings_.node, node, "monitoring", ++last_correlation,
                                    settings_.peers_wait);
    copy_question(*request, *question);
    fresh.waiting[question->correlation()] = node;
    out.questions.push_back(std::move(question));
  }
  if (fresh.waiting.empty())
    out.answers.push_back(close(fresh));
  else
    open_[next_++] = std::move(fresh);
  return out;
}

void gatherings::add(gathering& to, const proto::Envelope& part) {
  if (to.request->has_read_story() && part.has_job_story()) {
    *to.answer.mutable_job_story() = part.job_story();
    to.found = true;
  } else if (to.request->has_read_history() && part.has_cluster_history()) {
    for (const proto::NodeHistory& node : part.cluster_history().nodes())
      *to.answer.mutable_cluster_history()->add_nodes() = node;
  } else if (to.request->has_read_log() && part.has_log_part()) {
    proto::LogPart& log = *to.answer.mutable_log_part();
    log.mutable_lines()->MergeFrom(part.log_part().lines());
    log.mutable_next()->MergeFrom(part.log_part().next());
    log.set_dropped(log.dropped() + part.log_part().dropped());
  }
}

bool gatherings::take(const proto::Envelope& reply, effects& out) {
  for (auto at = open_.begin(); at != open_.end(); ++at) {
    gathering& open = at->second;
    const auto question = open.waiting.find(reply.correlation());
    if (question == open.waiting.end()) continue;
    const std::string node = question->second;
    open.waiting.erase(question);
    if (reply.sender().node() != node || (reply.has_error() && !open.request->has_read_story()))
      name_silent(*open.request, node, open.answer);
    else
      add(open, reply);
    if (open.waiting.empty() || open.found) {
      out.answers.push_back(close(open));
      open_.erase(at);
    }
    return true;
  }
  return false;
}

gatherings::effects gatherings::tick(time_point_us now) {
  effects out;
  for (auto at = open_.begin(); at != open_.end();) {
    if (now < at->second.until) {
      ++at;
      continue;
    }
    for (const auto& [correlation, node] : at->second.waiting)
      name_silent(*at->second.request, node, at->second.answer);
    out.answers.push_back(close(at->second));
    at = open_.erase(at);
  }
  return out;
}

envelope_ptr gatherings::close(gathering& done) const {
  if (done.request->has_read_story() && !done.found)
    return refuse(*done.request, proto::Error::NOT_FOUND,
                  "no node that answers remembers such a job",
                  "give the whole id; ended jobs are remembered for a while, by their gateway");
  if (done.request->has_read_history()) {
    auto& nodes = *done.answer.mutable_cluster_history()->mutable_nodes();
    std::sort(nodes.begin(), nodes.end(),
              [](const auto& a, const auto& b) { return a.node() < b.node(); });
  }
  if (done.request->has_read_log()) {
    auto& lines = *done.answer.mutable_log_part()->mutable_lines();
    std::stable_sort(lines.begin(), lines.end(),
                     [](const auto& a, const auto& b) { return a.at_us() < b.at_us(); });
  }
  return std::make_shared<const proto::Envelope>(std::move(done.answer));
}

}  // namespace troupe
