// The node's log: one line for each event, to a file and to stderr, in key=value fields.
#pragma once

#include <filesystem>
#include <string>

#include "config/outcome.hpp"

namespace troupe::cluster {

// Sets up spdlog's default logger. permission_denied: the file cannot be written.
status open_log(const std::filesystem::path& file, const std::string& level,
                const std::string& node);

}  // namespace troupe::cluster
