// The paths that filters take as `attribute`: "a", "a.b", "a.0", or a number.
#pragma once

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

// What stands under the path; `fallback`, where there is one, for each undefined step.
value at_path(rendering& run, const value& of, const value& path, const value* fallback = nullptr);

// What sort, min, max and unique compare: the attribute (several, after "a,b"), where there is a
// path, with texts in lower case unless case counts.
value sort_key(rendering& run, const value& item, const value* path, bool case_sensitive);

}  // namespace troupe::kernels::chat
