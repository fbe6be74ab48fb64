#include <chrono>
#include <iostream>
#include <memory>

#include "cluster/client/troupe.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"

namespace troupe::cli {
namespace {

int drain(const std::string& node, const std::string& at, const client::connect_options& connection,
          double wait_seconds) {
  auto cluster = client::cluster::connect(at, connection);
  if (!cluster) return complain(cluster.failure());
  const std::chrono::milliseconds wait(static_cast<std::int64_t>(wait_seconds * 1000));
  if (const status gone = (*cluster)->drain(node, wait); !gone) return complain(gone.failure());
  std::cout << node << " has ended\n";
  return exit_fine;
}

}  // namespace

void add_node(CLI::App& app, action& chosen) {
  struct options {
    std::string node, at = "127.0.0.1:7411";
    client::connect_options connection;
    double wait_seconds = 0;
  };
  auto given = std::make_shared<options>();
  CLI::App& node = *app.add_subcommand("node", "what is done to one node");
  node.require_subcommand(1);
  CLI::App& command = *node.add_subcommand(
      "drain", "end a node in order: it takes no new jobs, lets its own end, and exits");
  command.add_option("NAME", given->node, "the node's name")->required();
  command.add_option("--at", given->at, "HOST:PORT of that node, or of any other")
      ->capture_default_str();
  add_connection_keys(command, given->connection);
  command
      .add_option("--wait", given->wait_seconds,
                  "most seconds for its jobs to end; 0: what its node.stop_wait says")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  command.callback([&chosen, given] {
    chosen = [given] {
      return drain(given->node, given->at, given->connection, given->wait_seconds);
    };
  });
}

}  // namespace troupe::cli
