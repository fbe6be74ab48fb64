// The functions every template has: range, dict, namespace, raise_exception, and strftime_now where
// the context says what time it is.
#pragma once

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

void add_global_functions(rendering& run, scope& into);

}  // namespace troupe::kernels::chat
