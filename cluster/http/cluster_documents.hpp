// What the cluster's status says, in the shapes of OpenAI, Ollama and readiness probes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/monitoring.pb.h"

namespace troupe::http {

// Each model once by name, usable ones of nodes that are up; created: when this server started.
std::string openai_models(const proto::ClusterStatus& status, std::int64_t created_s);
// nullopt: no node that is up has it.
std::optional<std::string> openai_model(const proto::ClusterStatus& status, const std::string& name,
                                        std::int64_t created_s);
std::string ollama_tags(const proto::ClusterStatus& status, std::int64_t created_s);

struct readiness {
  bool ready = false;
  std::string document;  // {"ready": ..., "reasons": [...]}
};
// Ready: not draining, and a node that is up can serve a model. Nodes that are down or models that
// are loading are reasons to look, not to turn requests away.
readiness readiness_of(const proto::ClusterStatus& status, bool draining);

}  // namespace troupe::http
