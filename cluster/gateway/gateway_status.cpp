// The cluster's status: every node is asked, and what this gateway knows of each is added.
#include "cluster/gateway/gateway_core.hpp"

namespace troupe::cluster {

void gateway_core::read_cluster(const proto::Envelope& message, step& s) {
  if (status_reads_.size() >= settings_.status_reads_max) {
    s.out.messages.push_back(refuse(message, proto::Error::RESOURCE_EXHAUSTED,
                                    "too many readers of the status wait", "try again"));
    return;
  }
  const std::uint64_t id = next_correlation_++;
  status_read& read = status_reads_[id];
  read.asked = message;
  std::vector<proto::Envelope> questions;
  for (const member& m : view_->members) {
    proto::NodeStatus& known = read.nodes[m.name];
    known.set_node(m.name);
    known.set_incarnation(m.incarnation);
    known.set_address(m.address);
    known.set_up(false);
    if (!m.up) continue;
    read.waiting.insert(m.name);
    proto::Envelope question;
    question.mutable_sender()->set_node(settings_.node);
    question.mutable_sender()->set_actor("gateway");
    question.mutable_target()->set_node(m.name);
    question.mutable_target()->set_actor("monitoring");
    question.set_deadline_ms(static_cast<std::uint32_t>(settings_.status_wait.count()));
    question.set_correlation(next_correlation_++);
    question.mutable_read_status();
    requests_[question.correlation()] =
        request{request_kind::status, {}, id, m.name, "monitoring", s.now + settings_.status_wait};
    questions.push_back(std::move(question));
  }
  for (proto::Envelope& question : questions) post(std::move(question), s);
  if (read.waiting.empty()) status_part(id, {}, nullptr, s);
}

// One node's part has come (or will not); the answer leaves with the last one.
void gateway_core::status_part(std::uint64_t id, const std::string& node,
                               const proto::NodeStatus* status, step& s) {
  auto found = status_reads_.find(id);
  if (found == status_reads_.end()) return;
  status_read& read = found->second;
  if (status) {
    proto::NodeStatus& part = read.nodes[node];
    const std::string address = part.address();
    part = *status;
    part.set_node(node);
    part.set_up(true);
    if (part.address().empty()) part.set_address(address);
  }
  read.waiting.erase(node);
  if (!read.waiting.empty()) return;
  proto::Envelope answer = reply_to(read.asked);
  proto::ClusterStatus& cluster = *answer.mutable_cluster_status();
  cluster.set_gateway_node(settings_.node);
  for (auto& [name, part] : read.nodes) {
    breakers_.show(name, s.now, part);
    *cluster.add_nodes() = std::move(part);
  }
  status_reads_.erase(found);
  post(std::move(answer), s);
}

}  // namespace troupe::cluster
