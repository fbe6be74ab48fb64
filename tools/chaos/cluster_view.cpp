#include "tools/chaos/cluster_view.hpp"

#include <nlohmann/json.hpp>

namespace troupe::chaos {
namespace {

constexpr std::chrono::milliseconds answer_wait{5'000};

}  // namespace

std::vector<seen_node> nodes_of(client::cluster& cluster) {
  std::vector<seen_node> out;
  const auto text = cluster.status_json(answer_wait);
  if (!text) return out;
  const auto status = nlohmann::json::parse(*text);
  for (const auto& node : status.at("nodes")) {
    seen_node one;
    one.name = node.at("node");
    one.address = node.at("address");
    if (one.address.starts_with("tcp://")) one.address.erase(0, 6);
    one.up = node.at("up");
    one.frames_fenced = node.at("jobs").at("frames_fenced");
    for (const auto& model : node.at("models"))
      if (model.at("state") == "ready") one.models_ready.push_back(model.at("name"));
    out.push_back(std::move(one));
  }
  return out;
}

std::uint64_t frames_fenced(client::cluster& cluster) {
  std::uint64_t sum = 0;
  for (const seen_node& node : nodes_of(cluster)) sum += node.frames_fenced;
  return sum;
}

}  // namespace troupe::chaos
