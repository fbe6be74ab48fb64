// The version that `--version` prints; CMakeLists.txt at the root states it.
#pragma once

namespace troupe::cli {
inline constexpr const char* version = TROUPE_VERSION;
}  // namespace troupe::cli
