#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/bench/monitoring_bench.hpp"
#include "tools/cli/bench_command.hpp"
#include "tools/cli/measured_node.hpp"
#include "tools/cli/monitoring_load.hpp"

namespace troupe::cli {
namespace {

struct monitoring_bench_request {
  std::uint32_t rounds = 9, times = 200'000;
  bool json = false;
  monitoring_load_wish load;  // model empty: not wanted
};

ratio_figure window_ratio(const std::vector<load_round>& windows, std::size_t kind,
                          double load_figures::*what) {
  std::vector<double> ratios;
  ratios.reserve(windows.size());
  for (const load_round& window : windows) ratios.push_back(window[kind].*what / (window[0].*what));
  return ratio_of(std::move(ratios));
}

double median_figure(const std::vector<load_round>& rounds, std::size_t kind,
                     double load_figures::*what) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const load_round& round : rounds) values.push_back(round[kind].*what);
  return median(values);
}

int bench_load(monitoring_bench_request request) {
  if (request.load.daemon.empty()) request.load.daemon = daemon_beside();
  const auto rounds = bench_monitoring_load(request.load);
  if (!rounds) return complain(rounds.failure());
  static constexpr const char* names[] = {"without", "with", "watched"};
  nlohmann::ordered_json document = nlohmann::ordered_json::array();
  if (!request.json)
    std::printf(
        "%-8s %9s %13s   ratio to a node without (95 %% interval)      medians of %zu windows, %u "
        "streams\n",
        "", "tokens/s", "CPU us/token", rounds->size(), request.load.streams);
  for (std::size_t kind = 0; kind < std::size(names); ++kind) {
    const double speed = median_figure(*rounds, kind, &load_figures::tokens_per_second);
    const double cpu = median_figure(*rounds, kind, &load_figures::cpu_us_per_token);
    const ratio_figure speeds = window_ratio(*rounds, kind, &load_figures::tokens_per_second);
    const ratio_figure cpus = window_ratio(*rounds, kind, &load_figures::cpu_us_per_token);
    if (request.json)
      document.push_back({{"monitoring", names[kind]},
                          {"tokens_per_second", speed},
                          {"cpu_us_per_token", cpu},
                          {"tokens_per_second_ratio", speeds.median},
                          {"tokens_per_second_ratio_95", {speeds.low, speeds.high}},
                          {"cpu_ratio", cpus.median},
                          {"cpu_ratio_95", {cpus.low, cpus.high}}});
    else if (kind == 0)
      std::printf("%-8s %9.1f %13.1f\n", names[kind], speed, cpu);
    else
      std::printf("%-8s %9.1f %13.1f   %.4f (%.4f to %.4f), CPU %.4f (%.4f to %.4f)\n", names[kind],
                  speed, cpu, speeds.median, speeds.low, speeds.high, cpus.median, cpus.low,
                  cpus.high);
  }
  if (request.json) std::cout << document.dump(2) << "\n";
  return exit_fine;
}

int bench(const monitoring_bench_request& request) {
  if (!request.load.model.empty()) return bench_load(request);
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
  command
      .add_option("--model", given->load.model,
                  "measure instead tokens/s and CPU of a node that serves this file, without "
                  "monitoring, with it, and watched")
      ->check(CLI::ExistingFile);
  command.add_option("--load-rounds", given->load.rounds, "rounds of such nodes")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command.add_option("--windows", given->load.windows, "seconds of load on each node in a round")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--streams", given->load.streams, "jobs at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--tokens", given->load.tokens_max, "tokens of each job")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command.add_option("--daemon", given->load.daemon, "trouped; default: beside this program");
  command.add_flag("--json", given->json, "as JSON");
  command.callback([&chosen, given] { chosen = [given] { return bench(*given); }; });
}

}  // namespace troupe::cli
