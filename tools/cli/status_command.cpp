#include <iostream>
#include <memory>

#include "cluster/client/troupe.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"
#include "tools/cli/status_table.hpp"

namespace troupe::cli {
namespace {

int print_status(const std::string& at, const client::connect_options& connection, bool json) {
  auto cluster = client::cluster::connect(at, connection);
  if (!cluster) return complain(cluster.failure());
  const auto document = (*cluster)->status_json(std::chrono::seconds(5));
  if (!document) return complain(document.failure());
  if (json) {
    std::cout << *document << "\n";
    return exit_fine;
  }
  const auto table = status_table(*document);
  if (!table) return complain(table.failure());
  std::cout << *table;
  return exit_fine;
}

}  // namespace

void add_status(CLI::App& app, action& chosen) {
  struct options {
    std::string at = "127.0.0.1:7411";
    client::connect_options connection;
    bool json = false;
  };
  auto given = std::make_shared<options>();
  CLI::App& command =
      *app.add_subcommand("status", "show nodes, actors, models, caches and links of a cluster");
  command.add_option("--at", given->at, "HOST:PORT of any node")->capture_default_str();
  add_connection_keys(command, given->connection);
  command.add_flag("--json", given->json, "print the whole document (tools/README.md)");
  command.callback([&chosen, given] {
    chosen = [given] { return print_status(given->at, given->connection, given->json); };
  });
}

}  // namespace troupe::cli
