// Faults that a node carries out on itself, asked for from outside: for those who test a cluster
// by breaking it. Nodes refuse unless their settings allow it, and end each fault by themselves.
//
// Every call opens a session with the node at `at` ("HOST:PORT") and ends it. Threading: any
// thread. Errors: unavailable where nobody answers; not_found where another node does;
// permission_denied, naming the node, where it does not allow it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::client {

enum class node_fault {
  pause,      // nothing passes on its link
  partition,  // nothing passes between it and other nodes
  slow,       // what it sends leaves later
  crash,      // its process ends at once
  restart,    // its process ends in order
};

struct fault_wish {
  node_fault kind = node_fault::pause;
  std::chrono::milliseconds lasts{1'000};  // at most a minute; of the first three
  std::vector<std::string> peers{};        // of a partition; none: all
  std::chrono::milliseconds delay{0};      // of slow
};

struct chaos_leave {
  std::string node;
  bool enabled = false;
  bool supervised = false;  // its process may be ended
  bool computes = false;
};

result<chaos_leave> read_chaos(std::string_view at);
status begin_fault(std::string_view at, std::string_view node, const fault_wish& wish);
// Before its time; fine where there is none.
status end_fault(std::string_view at, std::string_view node);

}  // namespace troupe::client
