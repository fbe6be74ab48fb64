#include "cluster/http/answer_writer.hpp"

#include <algorithm>

namespace troupe::http {

const char* reason_name(proto::FinishReason reason) {
  switch (reason) {
    case proto::END_OF_TEXT:
    case proto::STOP_TEXT:
      return "stop";
    case proto::LENGTH:
      return "length";
    default:
      return "error";
  }
}

std::string joined(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

std::string served_by(const answer_states& answers) {
  std::set<std::string> gateways, nodes, sources;
  std::uint32_t attempts = 0;
  std::uint64_t queue_us = 0;
  for (const answer_state& answer : answers) {
    if (!answer.finished) continue;
    const proto::Provenance& origin = answer.finished->provenance();
    gateways.insert(origin.gateway_node());
    nodes.insert(origin.worker_node());
    sources.insert(proto::AnswerSource_Name(origin.source()));
    attempts = std::max(attempts, origin.attempts());
    queue_us = std::max(queue_us, origin.queue_us());
  }
  return "gateway=" + joined(gateways) + " node=" + joined(nodes) +
         " attempts=" + std::to_string(attempts) + " source=" + joined(sources) +
         " queue_ms=" + std::to_string(queue_us / 1000);
}

std::unique_ptr<answer_writer> make_writer(const reply_plan& plan, reply_identity identity) {
  const bool ollama =
      plan.kind == reply_kind::ollama_generate || plan.kind == reply_kind::ollama_chat;
  return ollama ? make_ollama_writer(plan, std::move(identity))
                : make_openai_writer(plan, std::move(identity));
}

}  // namespace troupe::http
