#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/evaluate/engine_bench.hpp"
#include "tools/cli/bench_command.hpp"
#include "tools/cli/loaded_engine.hpp"

namespace troupe::cli {
namespace {

struct engine_bench_request {
  engine_request engine;
  kernels::bench_request bench;
  bool json = false;
};

int bench_engine(const engine_bench_request& request) {
  const std::uint64_t positions =
      std::max(request.bench.prompt_tokens, request.bench.generate_tokens);
  auto loaded = load_engine(request.engine, positions);
  if (!loaded) return complain(loaded.failure());
  const auto report = kernels::bench(*loaded->engine, request.bench);
  if (!report) return complain(report.failure());
  const kernels::engine_description& engine = loaded->engine->description();
  const kernels::engine_counters counted = loaded->engine->counters();
  if (request.json) {
    const nlohmann::ordered_json document = {
        {"model", request.engine.model},
        {"engine", engine.backend},
        {"numerics_class", engine.numerics_class},
        {"variant", engine.variant},
        {"threads", request.engine.threads},
        {"repeat", request.bench.repeat},
        {"prompt_tokens", request.bench.prompt_tokens},
        {"generate_tokens", request.bench.generate_tokens},
        {"prefill_tokens_per_second",
         {{"median", report->prefill_median}, {"runs", report->prefill_tokens_per_second}}},
        {"decode_tokens_per_second",
         {{"median", report->decode_median}, {"runs", report->decode_tokens_per_second}}},
        {"steps", counted.steps},
        {"steps_replayed", counted.steps_replayed},
        {"graphs_recorded", counted.graphs_recorded},
    };
    std::cout << document.dump(2) << "\n";
    return exit_fine;
  }
  std::cout << engine.backend << " " << engine.numerics_class << " " << engine.variant
            << ", medians of " << request.bench.repeat << " runs\n";
  if (request.bench.prompt_tokens > 0)
    std::cout << "prefill of " << request.bench.prompt_tokens
              << " tokens: " << report->prefill_median << " tokens/s\n";
  if (request.bench.generate_tokens > 0)
    std::cout << "decode of " << request.bench.generate_tokens
              << " tokens: " << report->decode_median << " tokens/s\n";
  if (counted.graphs_recorded > 0)
    std::cout << counted.steps_replayed << " of " << counted.steps << " steps were replays of "
              << counted.graphs_recorded << " recorded ones\n";
  return exit_fine;
}

}  // namespace

void add_bench(CLI::App& app, action& chosen) {
  CLI::App& bench = *app.add_subcommand(
      "bench", "measure the engine, the link, monitoring or the GPU of this machine");
  bench.require_subcommand(1);

  auto request = std::make_shared<engine_bench_request>();
  CLI::App& command =
      *bench.add_subcommand("engine", "prefill and decode speed of a model, without a cluster");
  add_engine_options(command, request->engine);
  command
      .add_option("--prompt-tokens", request->bench.prompt_tokens,
                  "tokens of the prompt; 0 leaves prefill out")
      ->capture_default_str();
  command
      .add_option("--generate-tokens", request->bench.generate_tokens,
                  "tokens to generate; 0 leaves decode out")
      ->capture_default_str();
  command.add_option("--repeat", request->bench.repeat, "runs, of which the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1000u));
  command.add_flag("--json", request->json, "print one JSON document (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return bench_engine(*request); }; });

  add_bench_link(bench, chosen);
  add_bench_gpu(bench, chosen);
  add_bench_monitoring(bench, chosen);
  add_bench_split(bench, chosen);
}

}  // namespace troupe::cli
