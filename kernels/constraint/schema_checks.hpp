// What can be said of a schema only once all its nodes are read.
#pragma once

#include "kernels/constraint/schema_tree.hpp"

namespace troupe::kernels::constraint {

// Leaves out alternatives that nothing satisfies. Refuses a schema that nothing satisfies, also in
// one optional member, and oneOf whose alternatives are not seen to be apart.
status settle(schema_tree& tree);

}  // namespace troupe::kernels::constraint
