// What one subschema's keywords say of a value by themselves, taken into a node. Keywords that name
// other subschemas are read by schema_tree.cpp.
#pragma once

#include "kernels/constraint/schema_parts.hpp"
#include "kernels/constraint/schema_tree.hpp"

namespace troupe::kernels::constraint {

// The types that `type` allows; all where it is absent.
result<type_set> read_types(const schema_part& part);
// The types that the part's other keywords speak of; 0 where there are none.
type_set spoken_types(const schema_part& part);

// All of these leave in `node` what it allowed before and the part allows too.
status narrow_numbers(const schema_part& part, schema_node& node);
status narrow_texts(const schema_part& part, schema_node& node);
status narrow_items_count(const schema_part& part, schema_node& node);
status narrow_choices(const schema_part& part, schema_node& node);

}  // namespace troupe::kernels::constraint
