// trouped: one node of a troupe cluster.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "cluster/node/daemon.hpp"
#include "config/settings.hpp"

namespace {

int complain(const troupe::error& e, int code) {
  std::cerr << "trouped: " << e.text() << std::endl;
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace troupe::cluster;
  CLI::App app{"trouped: one node of a troupe cluster"};
  app.set_version_flag("--version", "trouped " + std::string(version()));
  std::string file;
  bool check = false;
  app.add_option("--config", file,
                 "the node's YAML file (troupe config explain tells its settings)")
      ->required();
  app.add_flag("--check", check, "say whether the configuration is fine, and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    const int code = app.exit(wrong);
    return code == 0 ? exit_fine : exit_usage;
  }
  const auto settings = troupe::load_settings(file, troupe::process_environment());
  if (!settings) return complain(settings.failure(), exit_config);
  if (check) {
    std::cout << file << ": fine" << std::endl;
    return exit_fine;
  }
  auto started = daemon::start(*settings);
  if (!started) {
    const troupe::error& why = started.failure();
    return complain(
        why, why.code == troupe::error_code::invalid_argument ? exit_config : exit_unavailable);
  }
  std::cout << "ready node=" << (*started)->name() << " address=" << (*started)->address()
            << " pid=" << ::getpid();
  if (const std::string http = (*started)->http_address(); !http.empty())
    std::cout << " http=" << http;
  std::cout << std::endl;
  return (*started)->run();
}
