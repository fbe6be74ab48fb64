// Which JSON an answer may be: any object, or what a JSON schema asks for. README.md lists the
// keywords and says what is written of all that a schema allows.
//
// Threading: immutable after compile(); any thread may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "config/outcome.hpp"

namespace troupe::kernels {

namespace constraint {
class rule_table;
}

struct json_constraint_wish {
  enum class form : std::uint8_t { any_object, schema };
  form kind = form::any_object;
  std::string schema = {};  // JSON text, where the form is schema
};

struct json_constraint_bounds {
  std::size_t schema_bytes_max = 256 * 1024;
  std::size_t schema_depth_max = 64;    // nesting of the schema's own text
  std::size_t schema_parts_max = 4096;  // subschemas, each place of use counted
  std::size_t states_max = 32768;       // of the automata together
  std::uint16_t answer_depth_max = 64;  // containers open at once in an answer; at most 1024
};

class json_constraint {
 public:
  // Refuses (invalid_argument, with the path in the schema) text that is not JSON, keywords that
  // are not taken, schemas that nothing can satisfy, and what passes the bounds.
  static result<std::shared_ptr<const json_constraint>> compile(
      const json_constraint_wish& wish, const json_constraint_bounds& bounds = {});

  explicit json_constraint(std::unique_ptr<const constraint::rule_table> rules);
  ~json_constraint();

  std::size_t states() const;
  const constraint::rule_table& rules() const { return *rules_; }  // for this folder

 private:
  std::unique_ptr<const constraint::rule_table> rules_;
};

}  // namespace troupe::kernels
