// Texts with places to fill: "%s of %d" % (a, b), and "{} of {name}".format(a, name=b).
#pragma once

#include <span>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

// Conversions s, r, d, i, f, x and %%; widths and flags are refused, a precision stands with f.
value percent_format(rendering& run, std::string_view format, std::span<const value> given);
// {}, {0}, {name}, {{ and }}; format specifications are refused.
value brace_format(rendering& run, std::string_view format, const call_arguments& given);

}  // namespace troupe::kernels::chat
