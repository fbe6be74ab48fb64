#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/bench/monitoring_bench.hpp"
#include "tools/cli/bench_command.hpp"

namespace troupe::cli {
namespace {

struct monitoring_bench_request {
  std::uint32_t rounds = 9, times = 200'000;
  bool json = false;
};

int bench(const monitoring_bench_request& request) {
  const auto costs = cluster::bench_monitoring(request.rounds, request.times);
  if (request.json) {
    nlohmann::ordered_json document = nlohmann::ordered_json::array();
    for (const auto& cost : costs)
      document.push_back({{"what", cost.what},
                          {"when", cost.when},
                          {"median_ns", cost.median_ns},
                          {"spread_ns", cost.spread_ns}});
    std::cout << document.dump(2) << "\n";
    return exit_fine;
  }
  for (const auto& cost : costs)
    std::printf("%8.0f ns (spread %.0f)  %s; %s\n", cost.median_ns, cost.spread_ns,
                cost.what.c_str(), cost.when.c_str());
  return exit_fine;
}

}  // namespace

void add_bench_monitoring(CLI::App& app, action& chosen) {
  auto given = std::make_shared<monitoring_bench_request>();
  CLI::App& command = *app.add_subcommand("monitoring", "measure what recording costs");
  command.add_option("--rounds", given->rounds, "rounds, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--times", given->times, "recordings in each round")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  command.add_flag("--json", given->json, "as JSON");
  command.callback([&chosen, given] { chosen = [given] { return bench(*given); }; });
}

}  // namespace troupe::cli
