// The node's log: one line for each event, to a file and to stderr, in key=value fields.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "actors/monitoring/log_ring.hpp"

#include "config/outcome.hpp"

namespace troupe::cluster {

// Sets up spdlog's default logger. permission_denied: the file cannot be written.
// ring: hears every line as well.
status open_log(const std::filesystem::path& file, const std::string& level,
                const std::string& node, std::shared_ptr<log_ring> ring);

}  // namespace troupe::cluster
