#include "kernels/constraint/schema_checks.hpp"

#include <algorithm>

#include "kernels/constraint/schema_parts.hpp"

namespace troupe::kernels::constraint {
namespace {

constexpr int glance_depth_max = 6;

// The reason of a child without which the node has no value (one of another type would have one).
const std::string* impossible_child(const schema_tree& tree, const schema_node& node) {
  const auto reason = [&](node_id child) {
    const std::string& text = tree.nodes[child].impossible;
    return text.empty() ? nullptr : &text;
  };
  if (!node.alternatives.empty()) {
    for (const node_id child : node.alternatives)
      if (!reason(child)) return nullptr;
    return reason(node.alternatives[0]);
  }
  if (node.types == object_type)
    for (const schema_member& member : node.members)
      if (member.required && reason(member.node)) return reason(member.node);
  if (node.types != array_type) return nullptr;
  for (std::size_t i = 0; i < node.first_items.size() && i < node.items_count.least; ++i)
    if (reason(node.first_items[i])) return reason(node.first_items[i]);
  if (node.rest_items && node.items_count.least > node.first_items.size())
    return reason(*node.rest_items);
  return nullptr;
}

void spread_impossible(schema_tree& tree) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = tree.nodes.size(); i-- > 0;) {
      schema_node& node = tree.nodes[i];
      if (!node.impossible.empty()) continue;
      const std::string* reason = impossible_child(tree, node);
      if (!reason) continue;
      node.impossible = *reason;
      changed = true;
    }
  }
}

class apartness {
 public:
  explicit apartness(const schema_tree& tree) : tree_(tree) {}

  bool apart(node_id a, node_id b, int depth) {
    if (depth > glance_depth_max || ++looks_ > looks_max) return false;
    const schema_node& x = tree_.nodes[a];
    const schema_node& y = tree_.nodes[b];
    if (!x.impossible.empty() || !y.impossible.empty()) return true;
    if (!x.alternatives.empty()) return all_apart(x.alternatives, b, depth);
    if (!y.alternatives.empty()) return all_apart(y.alternatives, a, depth);
    if (x.choices && y.choices)
      return std::none_of(x.choices->begin(), x.choices->end(), [&](const json_value& v) {
        return std::any_of(y.choices->begin(), y.choices->end(),
                           [&](const json_value& w) { return equal(v, w); });
      });
    if (x.choices || y.choices) {
      const auto& choices = x.choices ? *x.choices : *y.choices;
      const type_set types = x.choices ? y.valid_types : x.valid_types;
      return std::none_of(choices.begin(), choices.end(),
                          [&](const json_value& v) { return (type_of(v) & types) != 0; });
    }
    const type_set both = x.valid_types & y.valid_types;
    if (both == 0) return true;
    return both == object_type && (members_apart(x, y, depth) || members_apart(y, x, depth));
  }

 private:
  static constexpr int looks_max = 20000;

  bool all_apart(const std::vector<node_id>& from, node_id other, int depth) {
    return std::all_of(from.begin(), from.end(),
                       [&](node_id n) { return apart(n, other, depth + 1); });
  }
  // A member that x requires and y forbids, or that both require and that tells them apart.
  bool members_apart(const schema_node& x, const schema_node& y, int depth) {
    return std::any_of(x.members.begin(), x.members.end(), [&](const schema_member& m) {
      if (!m.required) return false;
      const auto other = std::find_if(y.members.begin(), y.members.end(),
                                      [&](const schema_member& n) { return n.name == m.name; });
      if (other == y.members.end()) return y.forbids_more;
      return other->required && apart(m.node, other->node, depth + 1);
    });
  }

  const schema_tree& tree_;
  int looks_ = 0;
};

status check_exclusive(const schema_tree& tree, const schema_node& node) {
  for (std::size_t i = 0; i < node.alternatives.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (!apartness(tree).apart(node.alternatives[j], node.alternatives[i], 0))
        return schema_error(node.path,
                            "alternatives " + std::to_string(j) + " and " + std::to_string(i) +
                                " are not seen to be apart",
                            "use anyOf, or give them different types or a required member with "
                            "different constants");
  return {};
}

}  // namespace

status settle(schema_tree& tree) {
  spread_impossible(tree);
  const auto refuse = [](const std::string& reason) {
    return error{error_code::invalid_argument, "nothing satisfies the schema; " + reason,
                 "make room for a value there"};
  };
  if (!tree.nodes[0].impossible.empty()) return refuse(tree.nodes[0].impossible);

  // Only what can still be reached counts: alternatives that nothing satisfies are left out.
  std::vector<bool> reached(tree.nodes.size(), false);
  std::vector<node_id> open = {0};
  const auto reach = [&](node_id node) {
    if (!reached[node]) reached[node] = true, open.push_back(node);
  };
  for (reached[0] = true; !open.empty();) {
    schema_node& node = tree.nodes[open.back()];
    open.pop_back();
    if (!node.impossible.empty()) return refuse(node.impossible);
    std::erase_if(node.alternatives, [&](node_id n) { return !tree.nodes[n].impossible.empty(); });
    for (const node_id n : node.alternatives) reach(n);
    for (const schema_member& m : node.members) reach(m.node);
    for (const node_id n : node.first_items) reach(n);
    if (node.rest_items) reach(*node.rest_items);
    if (node.more_members) reach(*node.more_members);
    if (node.exclusive)
      if (status checked = check_exclusive(tree, node); !checked) return checked;
  }
  return {};
}

}  // namespace troupe::kernels::constraint
