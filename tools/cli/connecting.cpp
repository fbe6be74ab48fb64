#include "tools/cli/connecting.hpp"

namespace troupe::cli {

void add_connection_keys(CLI::App& command, client::connect_options& into) {
  command
      .add_option("--key-file", into.key_file,
                  "this side's key pair, where links are encrypted (`troupe keys make`)")
      ->envname("TROUPE_KEY_FILE");
  command
      .add_option("--allow-file", into.allow_file,
                  "list of the nodes' keys; else \"allowed\" beside the key file")
      ->envname("TROUPE_ALLOW_FILE");
  command
      .add_option("--server-key", into.server_key,
                  "the node's public key, where that list does not have it")
      ->envname("TROUPE_SERVER_KEY");
}

}  // namespace troupe::cli
