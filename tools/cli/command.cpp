#include "tools/cli/command.hpp"

#include <iostream>

#include "tools/cli/cluster_command.hpp"
#include "tools/cli/version.hpp"

namespace troupe::cli {

int exit_code_of(error_code code) {
  switch (code) {
    case error_code::ok:
      return exit_fine;
    case error_code::invalid_argument:
    case error_code::not_found:
    case error_code::already_exists:
    case error_code::data_corrupt:
    case error_code::unsupported:
    case error_code::permission_denied:
      return exit_input;
    case error_code::unavailable:
    case error_code::deadline_exceeded:
    case error_code::resource_exhausted:
      return exit_unavailable;
    case error_code::cancelled:
      return exit_job_failed;
    case error_code::internal:
      break;
  }
  return exit_internal;
}

int complain(const error& why) {
  std::cout.flush();
  std::cerr << "troupe: " << why.text() << std::endl;
  return exit_code_of(why.code);
}

int run(int argc, const char* const* argv) {
  CLI::App app{"troupe: serve language models across your machines, and ask them", "troupe"};
  app.set_version_flag("--version", std::string("troupe ") + version);
  app.require_subcommand(1);
  app.footer(
      "Answers go to stdout, notes to stderr.\n"
      "Exit codes: 0 fine; 1 internal error; 2 wrong usage; 3 a file, configuration, model or "
      "parameter is refused;\n"
      "4 no node there, or it is full or too slow; 5 the job was accepted but ended without a "
      "whole answer.");
  action chosen;
  add_submit(app, chosen);
  add_readings(app, chosen);
  add_release(app, chosen);
  add_status(app, chosen);
  add_stats(app, chosen);
  add_logs(app, chosen);
  add_profile(app, chosen);
  add_node(app, chosen);
  add_console(app, chosen);
  add_keys(app, chosen);
  add_cluster(app, chosen);
  add_generate(app, chosen);
  add_model(app, chosen);
  add_bench(app, chosen);
  add_chaos(app, chosen);
  add_config(app, chosen);
  add_api_key(app, chosen);
  add_audit(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? exit_fine : exit_usage;
  }
  const int code = chosen ? chosen() : exit_usage;
  std::cout.flush();
  if (!std::cout) {
    std::cerr << "troupe: cannot write to stdout; is the disk full or the pipe closed?"
              << std::endl;
    return code == exit_fine ? exit_internal : code;
  }
  return code;
}

}  // namespace troupe::cli
