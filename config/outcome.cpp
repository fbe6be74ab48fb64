#include "config/outcome.hpp"

namespace troupe {

std::string_view name_of(error_code code) {
  return row_of(code).name;
}

}  // namespace troupe
