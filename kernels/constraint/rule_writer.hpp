// From the nodes of a schema to rules: one for each kind of value of a node.
#pragma once

#include <vector>

#include "config/outcome.hpp"
#include "kernels/constraint/automaton.hpp"
#include "kernels/constraint/rule_table.hpp"
#include "kernels/constraint/schema_tree.hpp"

namespace troupe::kernels::constraint {

// Refuses (invalid_argument, with the path) more than states_max states, patterns and numbers that
// cannot be written, and what no JSON of at most height_max open containers satisfies.
result<rule_table> write_rules(const schema_tree& tree, std::size_t states_max,
                               rule_table::height height_max);

}  // namespace troupe::kernels::constraint
