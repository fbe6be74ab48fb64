#include <iostream>
#include <memory>

#include "config/settings.hpp"
#include "tools/cli/command.hpp"

namespace troupe::cli {
namespace {

int check(const std::string& file) {
  const auto loaded = load_settings(file, process_environment());
  if (!loaded) {
    std::cerr << loaded.failure().text() << std::endl;
    return exit_code_of(loaded.failure().code);
  }
  std::cout << file << ": fine\n";
  for (const setting_row& row : settings_table())
    if (loaded->origin(row.name).starts_with("environment "))
      std::cerr << row.name << " is " << loaded->written(row.name) << ", by "
                << loaded->origin(row.name) << "\n";
  return exit_fine;
}

int print_guide(const std::string& only) {
  const std::string guide = explain(only);
  if (guide.empty()) {
    std::vector<std::string_view> known;
    for (const setting_row& row : settings_table()) known.push_back(row.name);
    const std::string_view near = nearest_name(only, known);
    return complain({error_code::not_found, "no setting or section is named " + only,
                     near.empty() ? "`troupe config explain` prints all"
                                  : "did you mean " + std::string(near) + "?"});
  }
  std::cout << guide;
  return exit_fine;
}

}  // namespace

void add_config(CLI::App& app, action& chosen) {
  CLI::App& config = *app.add_subcommand("config", "a node's configuration");
  config.require_subcommand(1);

  auto file = std::make_shared<std::string>();
  CLI::App& check_command = *config.add_subcommand(
      "check",
      "say whether a node can start with this file (and the TROUPE_ variables that are set)");
  check_command.add_option("FILE", *file, "the YAML file")->required();
  check_command.callback([&chosen, file] { chosen = [file] { return check(*file); }; });

  auto only = std::make_shared<std::string>();
  CLI::App& explain_command = *config.add_subcommand("explain", "print the guide to every setting");
  explain_command.add_option("NAME", *only,
                             "a section, such as link, or one setting, such as link.listen");
  explain_command.callback([&chosen, only] { chosen = [only] { return print_guide(*only); }; });
}

}  // namespace troupe::cli
