// Python's operators on numbers, texts and lists. Integers have 64 bits: what would leave them is
// refused, never wrapped.
#pragma once

#include "kernels/chat_template/rendering.hpp"
#include "kernels/chat_template/syntax_tree.hpp"

namespace troupe::kernels::chat {

value combine(rendering& run, binary_operator what, const value& a, const value& b);
value negated(const value& v);
value absolute(const value& v);
// round(x, digits): halves go to the even neighbour, as the exact binary value has it.
value rounded(const value& v, std::int64_t digits);

}  // namespace troupe::kernels::chat
