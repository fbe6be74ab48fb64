// The parts of `troupe bench` that have a file of their own.
#pragma once

#include "tools/cli/command.hpp"

namespace troupe::cli {

void add_bench_link(CLI::App& bench, action& chosen);
void add_bench_gpu(CLI::App& bench, action& chosen);
void add_bench_monitoring(CLI::App& bench, action& chosen);
void add_bench_split(CLI::App& bench, action& chosen);

}  // namespace troupe::cli
