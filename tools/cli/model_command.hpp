// The parts of `troupe model` that have a file of their own.
#pragma once

#include "tools/cli/command.hpp"

namespace troupe::cli {

void add_perplexity(CLI::App& model, action& chosen);

}  // namespace troupe::cli
