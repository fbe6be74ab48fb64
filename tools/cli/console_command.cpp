#include <iostream>
#include <memory>

#include "tools/cli/command.hpp"
#include "tools/cli/connecting.hpp"
#include "tools/console/console.hpp"

namespace troupe::cli {
namespace {

int show(const console::console_request& request, bool once) {
  if (!once) {
    const status shown = console::run_console(request);
    return shown ? static_cast<int>(exit_fine) : complain(shown.failure());
  }
  const auto text = console::look_once(request);
  if (!text) return complain(text.failure());
  std::cout << *text;
  return exit_fine;
}

}  // namespace

void add_console(CLI::App& app, action& chosen) {
  struct options {
    console::console_request request{"127.0.0.1:7411", {}};
    bool once = false;
  };
  auto given = std::make_shared<options>();
  CLI::App& command =
      *app.add_subcommand("console", "the whole cluster, live, on this terminal; ? shows its keys");
  command
      .add_option("--at", given->request.at,
                  "HOST:PORT of any node, or several with commas between")
      ->capture_default_str();
  add_connection_keys(command, given->request.connection);
  command.add_flag("--once", given->once, "print the picture once, as text, for scripts");
  command.footer(
      "Needs 80 columns and 24 lines for comfort and uses what there is. NO_COLOR takes colours "
      "away. Exit codes: those of troupe (0 where the\n"
      "picture was shown, 4 where no node answers).");
  command.callback(
      [&chosen, given] { chosen = [given] { return show(given->request, given->once); }; });
}

}  // namespace troupe::cli
