#include "kernels/constraint/json_constraint.hpp"

#include <utility>

#include "kernels/constraint/json_text.hpp"
#include "kernels/constraint/rule_table.hpp"
#include "kernels/constraint/rule_writer.hpp"
#include "kernels/constraint/schema_tree.hpp"

namespace troupe::kernels {

result<std::shared_ptr<const json_constraint>> json_constraint::compile(
    const json_constraint_wish& wish, const json_constraint_bounds& bounds) {
  const bool any = wish.kind == json_constraint_wish::form::any_object;
  const std::string_view text = any ? R"({"type": "object"})" : std::string_view(wish.schema);
  if (text.size() > bounds.schema_bytes_max)
    return error{error_code::invalid_argument,
                 "the schema has " + std::to_string(text.size()) + " bytes",
                 std::to_string(bounds.schema_bytes_max) + " are allowed"};
  const result<constraint::json_value> schema =
      constraint::read_json(text, bounds.schema_depth_max);
  if (!schema)
    return error{error_code::invalid_argument, "the schema is " + schema.failure().message,
                 schema.failure().mend};
  const result<constraint::schema_tree> tree =
      constraint::read_schema(*schema, bounds.schema_parts_max);
  if (!tree) return tree.failure();
  result<constraint::rule_table> rules =
      constraint::write_rules(*tree, bounds.states_max, bounds.answer_depth_max);
  if (!rules) return rules.failure();
  return std::make_shared<const json_constraint>(
      std::make_unique<const constraint::rule_table>(std::move(*rules)));
}

json_constraint::json_constraint(std::unique_ptr<const constraint::rule_table> rules)
    : rules_(std::move(rules)) {}

json_constraint::~json_constraint() = default;

std::size_t json_constraint::states() const {
  return rules_->states();
}

}  // namespace troupe::kernels
