// Tests: `value is name(arguments)`.
#pragma once

#include <string_view>

#include "kernels/chat_template/value.hpp"

namespace troupe::kernels::chat {

struct value_test_row {
  std::string_view name;
  bool (*holds)(rendering& run, const value& self, const call_arguments& given);
};

// Null where there is none of this name.
const value_test_row* find_value_test(std::string_view name);

}  // namespace troupe::kernels::chat
