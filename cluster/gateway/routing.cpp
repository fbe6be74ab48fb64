#include "cluster/gateway/routing.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "actors/model_loader/model_facts.hpp"

namespace troupe::cluster {
namespace {

bool means(const proto::ModelDescription& model, std::string_view wanted) {
  return model.name() == wanted || model.digest() == wanted;
}

std::string known_names(const cluster_view& view) {
  constexpr std::size_t shown_max = 16;
  std::set<std::string> names;
  for (const member& m : view.members)
    if (m.up)
      for (const auto& model : m.models) names.insert(model.name());
  if (names.empty()) return "no node has a model; put one into a folder of models.directories";
  std::string out = "known models: ";
  std::size_t shown = 0;
  for (const std::string& name : names) {
    if (shown == shown_max) return out + ", and " + std::to_string(names.size() - shown) + " more";
    out += (shown++ ? ", " : "") + name;
  }
  return out;
}

error unknown_model(const cluster_view& view, std::string_view wanted) {
  for (const member& m : view.members)
    if (!m.up && std::any_of(m.models.begin(), m.models.end(),
                             [&](const auto& model) { return means(model, wanted); }))
      return {error_code::unavailable,
              "model " + std::string(wanted) + " is only on node " + m.name + ", which is down",
              "start that node, or copy the file to one that is up"};
  return {error_code::not_found, "no node that is up has a model " + std::string(wanted),
          known_names(view)};
}

std::optional<error> unreadable_model(const cluster_view& view, std::string_view wanted) {
  for (const member& m : view.members)
    for (const auto& model : m.models)
      if (m.up && means(model, wanted) && model.state() == proto::MODEL_FAILED)
        return error{error_code::unsupported,
                     "model " + std::string(wanted) + " cannot be used at node " + m.name + ": " +
                         model.failure(),
                     "replace the file"};
  return std::nullopt;
}

const proto::ModelDescription* find_model(const member& m, std::string_view digest) {
  for (const auto& model : m.models)
    if (model.digest() == digest) return &model;
  return nullptr;
}

bool computes(const member& m) {
  return m.up && !m.suspect && !m.draining && m.load.sequences_max > 0;
}

// Lower is better; nullopt: that node cannot.
std::optional<int> state_rank(const member& m, const proto::ModelDescription* model) {
  if (!model) return 3;
  switch (model->state()) {
    case proto::READY:
      return 0;
    case proto::ON_DISK:
      if (model->load_refusal() != proto::LOADABLE) return std::nullopt;
      [[fallthrough]];
    case proto::LOADING:
      return m.self ? 1 : 2;
    case proto::FETCHING:
      return 3;
    default:
      return std::nullopt;
  }
}

// Why another node would be better company.
enum class company { fine, too_warm, shunned };

// Avoided, another class, the model's state, company, cost, another node, name: as they are
// compared.
using rank = std::tuple<bool, bool, int, company, std::uint64_t, bool, std::string>;

std::string standing_of(const member& m, int state, std::uint64_t sequences, std::uint64_t held) {
  constexpr const char* states[] = {"model ready", "file on its disk", "file on its disk",
                                    "must fetch the file"};
  std::string out = states[state];
  if (held > 0) out += ", holds " + std::to_string(held) + " prompt tokens";
  return out + ", " + std::to_string(sequences) + " of " + std::to_string(m.load.sequences_max) +
         " places taken";
}

// The first thing in which the best one is better.
std::string compared(const rank& best, const std::optional<rank>& second) {
  if (!second) return "no other node can";
  const std::string rival = std::get<6>(*second);
  if (std::get<0>(best) != std::get<0>(*second)) return rival + " failed at this job";
  if (std::get<1>(best) != std::get<1>(*second)) return rival + " computes in another class";
  if (std::get<2>(best) != std::get<2>(*second)) return rival + " has the model less near";
  if (std::get<3>(best) != std::get<3>(*second))
    return rival + (std::get<3>(*second) == company::shunned ? " would be bad company"
                                                             : " has a GPU that is too warm");
  if (std::get<4>(best) != std::get<4>(*second))
    return "costs " + std::to_string(std::get<4>(best)) + " tokens before it answers, " + rival +
           " " + std::to_string(std::get<4>(*second));
  if (std::get<5>(best) != std::get<5>(*second)) return "is here, else equal to " + rival;
  return "equal to " + rival + ", and first by name";
}

}  // namespace

result<std::optional<std::string>> resolve_model(const cluster_view& view,
                                                 std::string_view wanted) {
  using known = std::optional<std::string>;
  std::map<std::string, std::string> nodes_by_digest;
  std::set<std::string> own;
  bool own_unread = false;
  bool some_unread = false;
  for (const member& m : view.members) {
    if (!m.up) continue;
    for (const auto& model : m.models) {
      if (model.digest() == wanted) return known(wanted);
      if (model.digest().empty() && model.state() != proto::MODEL_FAILED) {
        some_unread |= model.name() == wanted || is_digest(wanted);
        own_unread |= m.self && model.name() == wanted;
      }
      if (model.name() != wanted || model.digest().empty()) continue;
      std::string& nodes = nodes_by_digest[model.digest()];
      nodes += (nodes.empty() ? "" : ", ") + m.name;
      if (m.self) own.insert(model.digest());
    }
  }
  if (own_unread || (nodes_by_digest.empty() && some_unread)) return known();
  if (nodes_by_digest.empty()) {
    if (auto broken = unreadable_model(view, wanted)) return *std::move(broken);
    return unknown_model(view, wanted);
  }
  if (nodes_by_digest.size() == 1) return known(nodes_by_digest.begin()->first);
  if (own.size() == 1) return known(*own.begin());
  std::string found;
  for (const auto& [digest, nodes] : nodes_by_digest)
    found.append(found.empty() ? "" : "; ").append(digest).append(" on ").append(nodes);
  return error{error_code::invalid_argument,
               "the name " + std::string(wanted) + " means " +
                   std::to_string(nodes_by_digest.size()) + " different files: " + found,
               "name the digest instead"};
}

std::optional<load_refused> load_refusal_of(const cluster_view& view, std::string_view digest) {
  std::optional<load_refused> out;
  for (const member& m : view.members) {
    const proto::ModelDescription* model = find_model(m, digest);
    if (!computes(m) || !model || model->state() != proto::ON_DISK) continue;
    const bool waits = model->load_refusal() == proto::WAITS_FOR_NODE;
    if (model->load_refusal() == proto::LOADABLE || (out && !waits)) continue;
    out = {
        waits,
        {waits ? error_code::unavailable : error_code::resource_exhausted,
         "node " + m.name + " cannot load it: " + model->failure(),
         waits ? "start the node that is missing" : "give a node more memory, or split the model"}};
    if (waits) break;
  }
  return out;
}

std::uint64_t start_cost(std::uint64_t prompt_tokens, std::uint64_t held_tokens,
                         std::uint64_t sequences, std::uint32_t sequences_max) {
  return prompt_tokens - std::min(held_tokens, prompt_tokens) +
         sequences * full_node_tokens / std::max<std::uint64_t>(sequences_max, 1);
}

std::uint64_t held_tokens(const member& node, std::span<const prefix_name> names) {
  for (std::size_t blocks = names.size(); blocks > 0; --blocks)
    if (std::binary_search(node.prefixes.begin(), node.prefixes.end(), names[blocks - 1]))
      return blocks * kernels::kv_block_tokens;
  return 0;
}

std::optional<worker_choice> choose_worker(const cluster_view& view, const worker_wish& wish) {
  std::optional<rank> best, second;
  std::string standing;
  std::optional<worker_choice> choice;
  std::map<std::string, std::vector<prefix_name>> names;  // of the prompt's blocks, by class
  const auto held_at = [&](const member& m, const std::string& numerics) -> std::uint64_t {
    if (wish.prompt_ids.empty() || m.prefixes.empty()) return 0;
    const auto [at, fresh] = names.try_emplace(numerics);
    if (fresh) extend_prefix_names(at->second, prefix_root(wish.digest, numerics), wish.prompt_ids);
    return held_tokens(m, at->second);
  };
  std::vector<std::string> holders;
  for (const member& m : view.members)
    if (const auto* model = find_model(m, wish.digest);
        m.up && model && model->state() != proto::FETCHING)
      holders.push_back(m.name);
  for (const member& m : view.members) {
    if (!computes(m) || (wish.may_try && !wish.may_try(m.name))) continue;
    const proto::ModelDescription* model = find_model(m, wish.digest);
    const auto state = state_rank(m, model);
    if (!state || (*state == 3 && holders.empty())) continue;
    const std::uint64_t sequences =
        std::max<std::uint64_t>(std::uint64_t{m.load.sequences_running} + m.load.sequences_waiting,
                                wish.own_jobs ? wish.own_jobs(m.name) : 0);
    const std::string numerics = model ? model->numerics_class() : std::string();
    const bool other_class =
        !wish.numerics_class.empty() && !numerics.empty() && numerics != wish.numerics_class;
    const std::uint64_t cost =
        start_cost(wish.prompt_ids.size(), *state == 0 ? held_at(m, numerics) : 0, sequences,
                   m.load.sequences_max);
    const bool avoided = wish.avoid && wish.avoid->contains(m.name);
    const company with = wish.shuns && wish.shuns(m.name) ? company::shunned
                         : m.load.too_warm                ? company::too_warm
                                                          : company::fine;
    rank r{avoided, other_class, *state, with, cost, !m.self, m.name};
    if (best && !(r < *best)) {
      if (!second || r < *second) second = std::move(r);
      continue;
    }
    if (best) second = std::move(best);
    best = std::move(r);
    standing = standing_of(m, *state, sequences, *state == 0 ? held_at(m, numerics) : 0);
    choice = worker_choice{m.name, m.incarnation, *state == 0, numerics, {}, {}};
  }
  if (choice)
    for (const std::string& name : holders)
      if (name != choice->node) choice->holders.push_back(name);
  if (choice) choice->because = standing + "; " + compared(*best, second);
  return choice;
}

}  // namespace troupe::cluster
