#include "kernels/constraint/rule_writer.hpp"

#include <map>
#include <string>
#include <utility>

#include "kernels/constraint/container_rules.hpp"
#include "kernels/constraint/pattern.hpp"
#include "kernels/constraint/schema_parts.hpp"
#include "kernels/constraint/text_automaton.hpp"

namespace troupe::kernels::constraint {
namespace {

// A draft has more states than what comes of it.
constexpr std::size_t draft_states_factor = 8;
// Work for all automata together: well below a second.
constexpr std::size_t steps_max = std::size_t{1} << 25;

std::string bound_key(const std::optional<number_bound>& bound) {
  if (!bound) return "-";
  return (bound->exclusive ? "x" : "i") + std::string(bound->value.negative ? "-" : "") +
         bound->value.whole + "." + bound->value.fraction;
}

class rule_writer {
 public:
  rule_writer(const schema_tree& tree, std::size_t states_max)
      : tree_(tree), states_max_(states_max), calls_(tree.nodes.size()) {}

  status write() {
    add_rule("any text", any_text());
    const value_call whole = value_of(0, false);
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const waiting next = waiting_[i];
      const schema_node& node = tree_.nodes[next.node];
      result<automaton> rule = next.kind == array_type    ? array_rule(node)
                               : next.kind == object_type ? object_rule(node)
                                                          : choice_rule(node);
      if (!rule) return schema_error(node.path, rule.failure().message, rule.failure().mend);
      count(*rule);
      rules_[next.rule].made = std::move(*rule);
      if (failure_) return *failure_;
      if (is_too_much()) return too_much(node.path);
    }
    if (failure_) return *failure_;
    automaton_draft root(states_max_);
    const state_id before = root.add_state(), end = root.add_state();
    root.add_blanks(0, before);
    root.add_call(before, whole, end);
    root.accept(end);
    result<automaton> rule = determinize(root, states_max_);
    if (!rule) return rule.failure();
    add_rule("#", std::move(*rule));
    return {};
  }

  result<rule_table> link(rule_table::height height_max) {
    std::vector<automaton> made;
    for (written& rule : rules_) made.push_back(std::move(rule.made));
    const rule_id root = static_cast<rule_id>(made.size() - 1);
    rule_table table = rule_table::link(made, root, height_max);
    for (rule_id r = 0; r <= root; ++r)
      if (table.needs_of(r) == rule_table::never && (!rules_[r].may_fail || r == root))
        return schema_error(rules_[r].path,
                            "nothing satisfies this that can be written with at most " +
                                std::to_string(height_max) + " open containers",
                            "make room for a value, or an end to the nesting");
    return table;
  }

 private:
  struct written {
    std::string path;
    automaton made;
    bool may_fail = true;  // one of several alternatives
  };
  struct waiting {
    rule_id rule;
    node_id node;
    type_set kind;  // array_type, object_type, or 0: a choice among the node's kinds
  };

  rule_id add_rule(std::string path, automaton made) {
    count(made);
    rules_.push_back({std::move(path), std::move(made)});
    return static_cast<rule_id>(rules_.size() - 1);
  }
  void count(const automaton& made) {
    states_ += made.size();
    steps_ += made.steps;
  }
  bool is_too_much() const { return states_ > states_max_ || steps_ > steps_max; }
  error too_much(std::string_view path) const {
    return schema_error(path, "the schema needs too many states by then",
                        too_many_states(states_max_).mend);
  }
  std::size_t states_left() const { return states_max_ - std::min(states_max_, states_); }

  // The call for a node's value. Containers and choices are written later: nodes may be recursive.
  value_call value_of(node_id at, bool may_fail) {
    std::optional<value_call>& known = calls_[at];
    if (!known) {
      const schema_node& node = tree_.nodes[at];
      if (node.alternatives.empty() && (node.choices || kinds_of(node) == 1)) {
        known = kind_calls(at, true).front();
      } else {
        known = value_call{add_rule(node.path, {})};
        waiting_.push_back({known->rule, at, 0});
      }
    }
    if (!may_fail) rules_[known->rule].may_fail = false;
    return *known;
  }

  static int kinds_of(const schema_node& node) {
    int kinds = (node.types & (integer_type | fraction_type)) != 0 ? 1 : 0;
    for (const type_set type : {null_type, boolean_type, text_type, array_type, object_type})
      kinds += (node.types & type) != 0 ? 1 : 0;
    return kinds;
  }

  // A call for each kind of value that the node itself allows.
  std::vector<value_call> kind_calls(node_id at, bool may_fail) {
    const schema_node& node = tree_.nodes[at];
    std::vector<value_call> calls;
    const auto add = [&](value_call call) {
      if (!may_fail) rules_[call.rule].may_fail = false;
      calls.push_back(call);
    };
    const auto later = [&](type_set kind) {
      const rule_id rule = add_rule(node.path, {});
      waiting_.push_back({rule, at, kind});
      return rule;
    };
    if (node.choices) return {{choices_rule(*node.choices, node.path)}};
    if (node.types & object_type) add({later(object_type)});
    if (node.types & array_type) add({later(array_type), comma_bounds(shape_of(node, nullptr))});
    if (node.types & text_type) add(text_call(node));
    if (node.types & (integer_type | fraction_type)) add({number_rule(node)});
    if (node.types & boolean_type) add({choices_rule({truth(true), truth(false)}, node.path)});
    if (node.types & null_type) add({choices_rule({json_value{}}, node.path)});
    return calls;
  }

  // A regular rule, made once for equal keys.
  template <class Make>
  rule_id regular_rule(const std::string& rule_key, const std::string& path, const Make& make) {
    const auto known = regular_.find(rule_key);
    if (known != regular_.end()) return known->second;
    if (failure_) return rule_table::text_rule;  // the first failure is the answer
    if (is_too_much()) failure_ = too_much(path);
    result<automaton> made = make();
    if (!made && !failure_)
      failure_ = schema_error(path, made.failure().message, made.failure().mend);
    return regular_[rule_key] = add_rule(path, made ? std::move(*made) : automaton{});
  }

  static json_value truth(bool value) { return {json_value::form::boolean, value}; }
  rule_id choices_rule(const std::vector<json_value>& choices, const std::string& path) {
    std::string rule_key = "choices";
    for (const json_value& choice : choices) rule_key += "\n" + write_json(choice);
    return regular_rule(rule_key, path, [&] {
      return determinize(draft_choices(choices, draft_states()), states_left());
    });
  }

  rule_id number_rule(const schema_node& node) {
    number_limits limits = node.numbers;
    limits.whole = limits.whole || !(node.types & fraction_type);
    const std::string rule_key = "number " + std::string(limits.whole ? "whole " : "") +
                                 bound_key(limits.least) + " " + bound_key(limits.most) + " " +
                                 std::to_string(limits.multiple_of);
    return regular_rule(rule_key, node.path, [&] { return compile_number(limits, states_left()); });
  }

  value_call text_call(const schema_node& node) {
    if (node.patterns.empty()) return {rule_table::text_rule, node.text_length};
    std::string rule_key = "text " + std::to_string(node.text_length.least) + " " +
                           std::to_string(node.text_length.most);
    for (const std::string& pattern : node.patterns) rule_key += "\n" + pattern;
    return {regular_rule(rule_key, node.path, [&]() -> result<automaton> {
      result<automaton> texts =
          compile_pattern(node.patterns[0], text_form::json_text, states_left());
      for (std::size_t i = 1; texts && i < node.patterns.size(); ++i) {
        const result<automaton> other =
            compile_pattern(node.patterns[i], text_form::json_text, states_left());
        if (!other) return other;
        texts = intersect(*texts, *other, states_left());
      }
      if (!texts || node.text_length == length_bounds{}) return texts;
      return limit_length(*texts, node.text_length, states_left());
    })};
  }

  // Without `inside`, only what comma_bounds() looks at.
  array_shape shape_of(const schema_node& node, rule_writer* inside) {
    array_shape shape;
    shape.count = node.items_count;
    for (const node_id item : node.first_items)
      shape.first.push_back(inside ? value_of(item, false) : value_call{});
    if (node.rest_items) shape.rest = inside ? value_of(*node.rest_items, false) : value_call{};
    return shape;
  }
  result<automaton> container_rule(const automaton_draft& draft) const {
    result<automaton> rule = determinize(draft, states_left());
    if (rule) rule->is_container = true;
    return rule;
  }
  result<automaton> array_rule(const schema_node& node) {
    return container_rule(draft_array(shape_of(node, this), draft_states()));
  }
  result<automaton> object_rule(const schema_node& node) {
    object_shape shape;
    for (const schema_member& member : node.members)
      shape.members.push_back({member.name, member.required, value_of(member.node, false)});
    if (node.more_members) shape.more = value_of(*node.more_members, false);
    const result<automaton_draft> draft = draft_object(shape, draft_states());
    if (!draft) return draft.failure();
    return container_rule(*draft);
  }
  result<automaton> choice_rule(const schema_node& node) {
    automaton rule;
    rule.add_state();
    const state_id end = rule.add_state(true);
    std::vector<value_call> calls;
    for (const node_id alternative : node.alternatives)
      calls.push_back(value_of(alternative, true));
    if (calls.empty()) calls = kind_calls(static_cast<node_id>(&node - tree_.nodes.data()), false);
    for (const value_call& call : calls) rule.calls[0].push_back({call, end});
    return rule;
  }
  std::size_t draft_states() const { return states_left() * draft_states_factor; }

  const schema_tree& tree_;
  std::size_t states_max_;
  std::size_t states_ = 0;
  std::size_t steps_ = 0;
  std::vector<written> rules_;
  std::vector<waiting> waiting_;
  std::vector<std::optional<value_call>> calls_;  // by node
  std::map<std::string, rule_id> regular_;
  std::optional<error> failure_;
};

}  // namespace

result<rule_table> write_rules(const schema_tree& tree, std::size_t states_max,
                               rule_table::height height_max) {
  rule_writer writer(tree, states_max);
  if (status written = writer.write(); !written) return written.failure();
  return writer.link(height_max);
}

}  // namespace troupe::kernels::constraint
