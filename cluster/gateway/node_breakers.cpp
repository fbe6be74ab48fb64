#include "cluster/gateway/node_breakers.hpp"

namespace troupe::cluster {

bool node_breakers::counts(proto::Error::Code code) {
  return code == proto::Error::UNAVAILABLE || code == proto::Error::INTERNAL ||
         code == proto::Error::DEADLINE_EXCEEDED || code == proto::Error::DATA_CORRUPT;
}

bool node_breakers::allows(const std::string& node, time_point_us now) const {
  const auto found = breakers_.find(node);
  return found == breakers_.end() || found->second.allows(now);
}

void node_breakers::tried(const std::string& node, time_point_us now) {
  const auto found = breakers_.find(node);
  if (found != breakers_.end()) found->second.tried(now);
}

void node_breakers::succeeded(const std::string& node) {
  breakers_.erase(node);
}

bool node_breakers::failed(const std::string& node, time_point_us now) {
  auto found = breakers_.find(node);
  if (found == breakers_.end())
    found =
        breakers_.emplace(node, circuit_breaker(failures_to_open_, pauses_, draws_.next())).first;
  const bool was = found->second.state(now) == breaker_state::open;
  found->second.failed(now);
  return !was && found->second.state(now) == breaker_state::open;
}

void node_breakers::keep_only(const cluster_view& view) {
  std::erase_if(breakers_, [&](const auto& one) { return view.find(one.first) == nullptr; });
}

void node_breakers::show(const std::string& node, time_point_us now,
                         proto::NodeStatus& status) const {
  const auto found = breakers_.find(node);
  if (found == breakers_.end()) return;
  proto::BreakerStatus& out = *status.mutable_breaker();
  const breaker_state state = found->second.state(now);
  out.set_state(state == breaker_state::closed ? proto::BREAKER_CLOSED
                : state == breaker_state::open ? proto::BREAKER_OPEN
                                               : proto::BREAKER_HALF_OPEN);
  out.set_failures(found->second.failures());
  if (state == breaker_state::closed || found->second.retry_at() <= now) return;
  out.set_retry_ms(static_cast<std::uint64_t>(
      std::chrono::ceil<std::chrono::milliseconds>(found->second.retry_at() - now).count()));
}

}  // namespace troupe::cluster
