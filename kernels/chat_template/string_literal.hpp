// A string literal of a template, as Python reads it.
#pragma once

#include <string>
#include <string_view>

namespace troupe::kernels::chat {

// `inside` is what stands between the quotes. Throws template_failure for an escape that gives no
// character.
std::string read_string_literal(std::string_view inside);

}  // namespace troupe::kernels::chat
