// How Python prints values: str() and repr().
#pragma once

#include <string>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

void add_text(text_builder& out, const value& v);  // str: texts as they are
void add_repr(text_builder& out, const value& v);  // repr: texts in quotes
std::string repr_of_real(double x);                // the shortest that reads back

// str(v), without a copy where v is a text.
std::string_view text_of_value(rendering& run, const value& v);

}  // namespace troupe::kernels::chat
