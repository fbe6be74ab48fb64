#include "actors/monitoring/profile_relay.hpp"

#include "actors/monitoring/peer_parts.hpp"

namespace troupe {

profile_relay::effects profile_relay::begin(const envelope_ptr& request,
                                            const std::function<bool(const std::string&)>& is_up,
                                            std::uint64_t& last_correlation, time_point_us now) {
  const proto::ReadProfile& asked = request->read_profile();
  effects out;
  const auto no = [&](proto::Error::Code code, std::string why, std::string mend) {
    out.posts.push_back(refuse(*request, code, std::move(why), std::move(mend)));
    return out;
  };
  if (asked.seconds() < 1 || asked.seconds() > profile_seconds_max)
    return no(proto::Error::INVALID_ARGUMENT,
              "a profile does not last " + std::to_string(asked.seconds()) + " seconds",
              "ask for 1 to " + std::to_string(profile_seconds_max));
  if (!proto::ProfileKind_IsValid(asked.kind()))
    return no(proto::Error::INVALID_ARGUMENT,
              "there is no profile of kind " + std::to_string(asked.kind()), "ask for cpu or heap");
  if (asked.own_only() || asked.node().empty() || asked.node() == self_) {
    out.here = request;
    return out;
  }
  if (!is_up(asked.node()))
    return no(proto::Error::NOT_FOUND, "no node " + asked.node().substr(0, 64) + " is up",
              "look at troupe status for the nodes");
  if (waiting_.size() >= waiting_max)
    return no(proto::Error::RESOURCE_EXHAUSTED,
              std::to_string(waiting_.size()) + " profiles of other nodes are waited for already",
              "try again later, or ask that node itself");
  const std::chrono::milliseconds wait = std::chrono::seconds(asked.seconds()) + answer_slack;
  auto question = from_monitoring(self_, asked.node(), "monitoring", ++last_correlation, wait);
  *question->mutable_read_profile() = asked;
  question->mutable_read_profile()->set_own_only(true);
  waiting_[question->correlation()] = {request, asked.node(), now + wait};
  out.posts.push_back(std::move(question));
  return out;
}

bool profile_relay::take(const proto::Envelope& reply, std::vector<envelope_ptr>& posts) {
  const auto found = waiting_.find(reply.correlation());
  if (found == waiting_.end()) return false;
  const waiting_one done = std::move(found->second);
  waiting_.erase(found);
  // An Error may be our own node's, where the way there is broken.
  const bool theirs = reply.sender().node() == done.node;
  if (!reply.has_error() && !(theirs && reply.has_node_profile())) {
    posts.push_back(refuse(*done.request, proto::Error::INTERNAL,
                           "node " + done.node + " answered something else than its profile",
                           "are the nodes of the same version?"));
    return true;
  }
  proto::Envelope answer = reply_to(*done.request);
  if (reply.has_error())
    *answer.mutable_error() = reply.error();
  else
    *answer.mutable_node_profile() = reply.node_profile();
  posts.push_back(std::make_shared<const proto::Envelope>(std::move(answer)));
  return true;
}

std::vector<envelope_ptr> profile_relay::tick(const std::function<bool(const std::string&)>& is_up,
                                              time_point_us now) {
  std::vector<envelope_ptr> posts;
  std::erase_if(waiting_, [&](const auto& entry) {
    const waiting_one& one = entry.second;
    if (!is_up(one.node))
      posts.push_back(refuse(*one.request, proto::Error::UNAVAILABLE,
                             "node " + one.node + " went down while it was profiled",
                             "look at troupe stats"));
    else if (now >= one.until)
      posts.push_back(refuse(*one.request, proto::Error::DEADLINE_EXCEEDED,
                             "node " + one.node + " did not tell its profile in time",
                             "ask it itself; look at troupe logs --node " + one.node));
    else
      return false;
    return true;
  });
  return posts;
}

}  // namespace troupe
