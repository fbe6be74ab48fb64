// What a cluster says of its nodes. Threading: any thread.
#pragma once

#include <string>
#include <vector>

#include "cluster/client/troupe.hpp"

namespace troupe::chaos {

struct seen_node {
  std::string name, address;  // "HOST:PORT"; empty where it is not known
  bool up = false;
  std::vector<std::string> models_ready;  // names
  std::uint64_t frames_fenced = 0;        // since its start
};

// Empty where the gateway does not answer.
std::vector<seen_node> nodes_of(client::cluster& cluster);
std::uint64_t frames_fenced(client::cluster& cluster);

}  // namespace troupe::chaos
