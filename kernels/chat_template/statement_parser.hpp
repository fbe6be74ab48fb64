// Parses a whole template: text, outputs and block tags. What Jinja2 has and chat templates do not
// need (include, import, extends, block, do, autoescape, recursive loops) is refused by its name.
#pragma once

#include <string_view>

#include "kernels/chat_template/syntax_tree.hpp"

namespace troupe::kernels::chat {

// `source` is valid UTF-8. Throws template_failure.
program parse_program(std::string_view source, const chat_template_bounds& bounds);

}  // namespace troupe::kernels::chat
