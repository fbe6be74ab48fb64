// The flags of commands that connect to a cluster whose links are encrypted.
#pragma once

#include <CLI/CLI.hpp>

#include "cluster/client/troupe.hpp"

namespace troupe::cli {

// --key-file, --allow-file and --server-key, or TROUPE_KEY_FILE and so on.
void add_connection_keys(CLI::App& command, client::connect_options& into);

}  // namespace troupe::cli
