// Which key file and which list a command means: those of a node's configuration, or named ones.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cluster/keys/allow_file.hpp"
#include "cluster/keys/key_file.hpp"

namespace troupe::cli {

struct key_files {
  std::string config, key_file, allow_file;

  // --config, or --key-file (TROUPE_KEY_FILE) and --allow-file (TROUPE_ALLOW_FILE).
  void add_options(CLI::App& command);
  result<settings> of_node() const;  // of --config
  result<keys::key_place> place() const;
};

}  // namespace troupe::cli
