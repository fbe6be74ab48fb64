// What the commands of `troupe` share: exit codes, and how a command is chosen and answers.
//
// A command adds itself and its options to the parser; parsing stores what is to be done in
// `chosen`. Answers go to stdout, notes and errors to stderr. Errors are values: nothing throws
// past a command.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "config/outcome.hpp"

namespace troupe::cli {

// For scripts; `troupe --help` prints them.
enum exit_code : int {
  exit_fine = 0,
  exit_internal = 1,     // our own fault
  exit_usage = 2,        // an unknown command or flag, or a value of the wrong kind
  exit_input = 3,        // a file, configuration, model or parameter that is refused
  exit_unavailable = 4,  // no node there, or it is full or too slow
  exit_job_failed = 5,   // accepted, but it ended without a whole answer
};

int exit_code_of(error_code code);

// Prints "troupe: what (mend)" to stderr and returns the exit code.
int complain(const error& why);

using action = std::function<int()>;

void add_submit(CLI::App& app, action& chosen);
void add_readings(CLI::App& app, action& chosen);  // embed, score
void add_release(CLI::App& app, action& chosen);
void add_status(CLI::App& app, action& chosen);
void add_logs(CLI::App& app, action& chosen);
void add_profile(CLI::App& app, action& chosen);
void add_stats(CLI::App& app, action& chosen);
void add_node(CLI::App& app, action& chosen);  // drain
void add_console(CLI::App& app, action& chosen);
void add_generate(CLI::App& app, action& chosen);
void add_model(CLI::App& app, action& chosen);   // make, inspect, quantize, perplexity, tokenize
void add_bench(CLI::App& app, action& chosen);   // engine, link
void add_chaos(CLI::App& app, action& chosen);   // local
void add_config(CLI::App& app, action& chosen);  // check, explain

// make, list, revoke
void add_api_key(CLI::App& app, action& chosen);

// verify, show
void add_audit(CLI::App& app, action& chosen);

// Parses the line and does what it says.
int run(int argc, const char* const* argv);

}  // namespace troupe::cli
