#include "cluster/http/cluster_documents.hpp"

#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool usable(const proto::ModelDescription& model) {
  return !model.digest().empty() && model.state() != proto::MODEL_FAILED;
}

std::map<std::string, proto::ModelDescription> models_of(const proto::ClusterStatus& status) {
  std::map<std::string, proto::ModelDescription> out;
  for (const proto::NodeStatus& node : status.nodes())
    for (const proto::ModelDescription& model : node.models())
      if (node.up() && usable(model)) out.emplace(model.name(), model);
  return out;
}

json openai_entry(const proto::ModelDescription& model, std::int64_t created_s) {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", created_s},
          {"owned_by", "troupe"},
          {"max_model_len", model.context_tokens()},
          {"digest", model.digest()}};
}

std::string size_name(std::uint64_t parameters) {
  char text[32];
  const double count = static_cast<double>(parameters);
  if (count >= 1e9)
    std::snprintf(text, sizeof text, "%.1fB", count / 1e9);
  else
    std::snprintf(text, sizeof text, "%.1fM", count / 1e6);
  return text;
}

}  // namespace

std::string openai_models(const proto::ClusterStatus& status, std::int64_t created_s) {
  json data = json::array();
  for (const auto& [name, model] : models_of(status))
    data.push_back(openai_entry(model, created_s));
  json out = {{"object", "list"}};
  out["data"] = std::move(data);
  return dumped(out);
}

std::optional<std::string> openai_model(const proto::ClusterStatus& status, const std::string& name,
                                        std::int64_t created_s) {
  for (const auto& [known, model] : models_of(status))
    if (known == name || model.digest() == name) return dumped(openai_entry(model, created_s));
  return std::nullopt;
}

std::string ollama_tags(const proto::ClusterStatus& status, std::int64_t created_s) {
  const std::time_t when = created_s;
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char modified[32];
  std::strftime(modified, sizeof modified, "%Y-%m-%dT%H:%M:%SZ", &parts);
  json models = json::array();
  for (const auto& [name, model] : models_of(status)) {
    json details = {{"parent_model", ""},
                    {"format", "gguf"},
                    {"family", model.architecture()},
                    {"families", json::array({model.architecture()})},
                    {"parameter_size", size_name(model.parameters())},
                    {"quantization_level", model.quantization()}};
    json entry = {{"name", name},
                  {"model", name},
                  {"modified_at", modified},
                  {"size", model.size_bytes()},
                  {"digest", model.digest()}};
    entry["details"] = std::move(details);
    models.push_back(std::move(entry));
  }
  json out;
  out["models"] = std::move(models);
  return dumped(out);
}

readiness readiness_of(const proto::ClusterStatus& status, bool draining) {
  json reasons = json::array();
  bool serves = false;
  if (draining) reasons.push_back("draining: node " + status.gateway_node() + " stops");
  for (const proto::NodeStatus& node : status.nodes()) {
    if (!node.up()) {
      reasons.push_back("degraded: node " + node.node() + " is down");
      continue;
    }
    for (const proto::ModelDescription& model : node.models()) {
      serves |= usable(model);
      if (model.state() == proto::LOADING || model.state() == proto::FETCHING)
        reasons.push_back("model loading: " + model.name() + " at node " + node.node());
      if (model.state() == proto::MODEL_FAILED)
        reasons.push_back("degraded: model " + model.name() + " at node " + node.node() +
                          " cannot be used: " + model.failure());
    }
  }
  if (!serves) reasons.push_back("no model: no node that is up has one that can be used");
  readiness out;
  out.ready = serves && !draining;
  json document = {{"ready", out.ready}};
  document["reasons"] = std::move(reasons);
  out.document = dumped(document);
  return out;
}

}  // namespace troupe::http
