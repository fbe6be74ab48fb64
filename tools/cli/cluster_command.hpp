// The commands of an encrypted cluster's keys: `troupe keys` and `troupe cluster`.
#pragma once

#include "tools/cli/command.hpp"

namespace troupe::cli {

void add_keys(CLI::App& app, action& chosen);     // make, show, allow, list, revoke
void add_cluster(CLI::App& app, action& chosen);  // invite, join

}  // namespace troupe::cli
