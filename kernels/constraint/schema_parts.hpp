// A subschema as the list of all that must hold at once: itself, what its $ref and allOf name, and
// one alternative of each anyOf or oneOf that has been gone into.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/constraint/json_text.hpp"

namespace troupe::kernels::constraint {

// An error at a place of the schema: "#/properties/age: minimum is not a number".
error schema_error(std::string_view path, std::string_view problem, std::string_view mend);

struct schema_part {
  const json_value* schema = nullptr;  // an object or a boolean
  std::string path;
  std::int32_t named_by = -1;  // the part whose keyword led here
  bool any_taken = false;      // one alternative of its anyOf is among the parts
  bool one_taken = false;      // and of its oneOf
};
using schema_parts = std::vector<schema_part>;

class part_reader {
 public:
  static constexpr std::size_t parts_max = 64;

  explicit part_reader(const json_value& root) : root_(root) {}

  // Adds what $ref and allOf of the parts from `first` on name. Refuses keywords that are not
  // taken, references that lead nowhere or back to themselves, and too many parts.
  status expand(schema_parts& parts, std::size_t first);
  // Says nothing by itself, and only names others.
  static bool only_names(const json_value& schema);
  // Adds one that parts[by] names, unless it is there already. Not yet expanded.
  status add(schema_parts& parts, std::size_t by, const json_value& schema, std::string path);

 private:
  status check_keywords(const schema_part& part);
  result<const json_value*> resolve(const schema_part& part, std::string_view reference) const;

  const json_value& root_;
  std::set<const json_value*> checked_;
};

// path + "/" + name, escaped as JSON pointers are.
std::string path_below(std::string_view path, std::string_view name);

}  // namespace troupe::kernels::constraint
