#include "tools/cli/key_files.hpp"

namespace troupe::cli {

void key_files::add_options(CLI::App& command) {
  command.add_option("--config", config, "a node's YAML file, which says where its keys are");
  command.add_option("--key-file", key_file, "file of a key pair, instead of a node's")
      ->envname("TROUPE_KEY_FILE");
  command
      .add_option("--allow-file", allow_file,
                  "list of who may connect; else \"allowed\" beside the key file")
      ->envname("TROUPE_ALLOW_FILE");
}

result<settings> key_files::of_node() const {
  return load_settings(config, process_environment());
}

result<keys::key_place> key_files::place() const {
  if (!config.empty()) {
    const result<settings> node = of_node();
    if (!node) return node.failure();
    return keys::place_of(*node);
  }
  if (key_file.empty())
    return error{error_code::invalid_argument, "whose keys?",
                 "give a node's configuration with --config, or a file with --key-file"};
  keys::key_place out{key_file, allow_file};
  if (out.allow_file.empty()) out.allow_file = out.key_file.parent_path() / "allowed";
  return out;
}

}  // namespace troupe::cli
