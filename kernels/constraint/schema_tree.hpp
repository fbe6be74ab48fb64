// A schema, read, checked and put together: each node says all that holds for one value, with
// references, allOf and the alternatives of anyOf and oneOf resolved. Nodes may name one another in
// a circle (recursive schemas).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/constraint/automaton.hpp"
#include "kernels/constraint/json_text.hpp"
#include "kernels/constraint/number_automaton.hpp"

namespace troupe::kernels::constraint {

using node_id = std::uint32_t;

// A set of types. "number" has both of its bits.
using type_set = std::uint8_t;
inline constexpr type_set null_type = 1, boolean_type = 2, integer_type = 4, fraction_type = 8,
                          text_type = 16, array_type = 32, object_type = 64, all_types = 127;

struct schema_member {
  std::string name;
  node_id node = 0;
  bool required = false;
};

struct schema_node {
  std::string path;
  std::string impossible;            // why nothing satisfies it, with the place; else empty
  type_set types = all_types;        // written
  type_set valid_types = all_types;  // that the schema allows: more, where it names no type

  std::vector<node_id> alternatives;  // where not empty, nothing below counts
  bool exclusive = false;             // they stand in a oneOf

  std::optional<std::vector<json_value>> choices;  // enum, const; then nothing below counts
  number_limits numbers;
  length_bounds text_length;
  std::vector<std::string> patterns;  // all hold
  length_bounds items_count;
  std::vector<node_id> first_items;  // by position
  std::optional<node_id> rest_items;
  std::vector<schema_member> members;  // in the order in which they are written
  std::optional<node_id> more_members;
  bool forbids_more = false;  // additionalProperties: false, in so many words
};

struct schema_tree {
  std::vector<schema_node> nodes;  // 0 is the whole
};

// Errors: invalid_argument, with the path in the schema.
result<schema_tree> read_schema(const json_value& schema, std::size_t nodes_max);

// The type of a value, as a set of one; whole numbers are integers, 1.0 too.
type_set type_of(const json_value& value);

}  // namespace troupe::kernels::constraint
