// Which model a name means, and which node should compute an answer. Pure functions of the
// cluster's view.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/prefix_name.hpp"
#include "cluster/membership/membership_core.hpp"
#include "config/outcome.hpp"

namespace troupe::cluster {

// The one digest that a name (or a digest) stands for on the nodes that are up; nullopt while it is
// being computed (a file's first reading), at the own node or wherever the name is known. Two
// digests under one name: the own node's decides; else refused (invalid_argument). Unknown:
// not_found with the known names; known only on lost nodes: unavailable; a file that cannot be
// read: unsupported, with the reason.
result<std::optional<std::string>> resolve_model(const cluster_view& view, std::string_view wanted);

// Why a node that has the model's file does not load it; one that waits for another node goes
// first.
struct load_refused {
  bool waits = false;
  error why;
};
std::optional<load_refused> load_refusal_of(const cluster_view& view, std::string_view digest);

struct worker_wish {
  std::string digest;
  std::string numerics_class;                    // preferred, where known; empty: any
  const std::set<std::string>* avoid = nullptr;  // nodes that failed at this job: last resort
  std::function<std::uint32_t(const std::string&)>
      own_jobs;                                          // sequences that this gateway runs there
  std::function<bool(const std::string&)> may_try = {};  // none: any node
  std::function<bool(const std::string&)> shuns = {};    // where another would do as well
  std::span<const std::int32_t> prompt_ids = {};  // empty: what nodes hold of it does not matter
};

struct worker_choice {
  std::string node;
  std::uint64_t incarnation = 0;
  bool ready = false;
  std::string numerics_class;        // empty while not known
  std::vector<std::string> holders;  // nodes that have the file, for fetching it
  std::string because;               // what spoke for it, and against the next best
};

// What a job costs at a node, in tokens that are computed before it can answer: its prompt without
// the part that is held there, and for the sequences already there what a full node is worth
// (full_node_tokens), by the share of its places that they take.
inline constexpr std::uint64_t full_node_tokens = 1024;
std::uint64_t start_cost(std::uint64_t prompt_tokens, std::uint64_t held_tokens,
                         std::uint64_t sequences, std::uint32_t sequences_max);

// Tokens of the prompt whose KV the node holds: up to the last of its blocks that is among the
// node's. `names`: of the prompt's full blocks.
std::uint64_t held_tokens(const member& node, std::span<const prefix_name> names);

// Only nodes that are up and not suspect. Best first: not avoided, same numerics class, READY, the
// file at the own node, the file elsewhere, no file but able to fetch it, not shunned, not too
// warm; then the lowest start_cost, the own node, the name. nullopt: nobody can.
std::optional<worker_choice> choose_worker(const cluster_view& view, const worker_wish& wish);

}  // namespace troupe::cluster
