#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/link/bench/link_bench.hpp"
#include "tools/cli/bench_command.hpp"

namespace troupe::cli {
namespace {

struct link_bench_request {
  link::link_bench_settings settings;
  bool json = false;
};

void print_document(const link_bench_request& request, const link::link_bench_report& report) {
  using json = nlohmann::ordered_json;
  json rows = json::array();
  for (const link::link_bench_row& row : report.rows)
    rows.push_back({{"size_bytes", row.size_bytes},
                    {"round_trip_us", row.round_trip_us},
                    {"raw_round_trip_us", row.raw_round_trip_us},
                    {"round_trip_ratio", row.round_trip_ratio},
                    {"messages_per_second", row.messages_per_second},
                    {"raw_messages_per_second", row.raw_messages_per_second},
                    {"throughput_ratio", row.throughput_ratio},
                    {"fresh_messages_per_second", row.fresh_messages_per_second},
                    {"fresh_throughput_ratio", row.fresh_throughput_ratio}});
  std::cout << json{{"pairs", request.settings.pairs},
                    {"encrypted", request.settings.encrypted},
                    {"rows", rows}}
                   .dump(2)
            << "\n";
}

int bench_link(const link_bench_request& request) {
  const auto report = link::run_link_bench(request.settings);
  if (!report) return complain(report.failure());
  if (request.json) {
    print_document(request, *report);
    return exit_fine;
  }
  std::printf(
      "actor to actor, two processes, tcp loopback, beside raw ZeroMQ; medians of %u alternating "
      "pairs%s\n",
      request.settings.pairs, request.settings.encrypted ? "; ours encrypted" : "");
  for (const link::link_bench_row& row : report->rows) {
    std::printf("%u B: round trip %.1f us, raw %.1f us, ratio %.2f\n", row.size_bytes,
                row.round_trip_us, row.raw_round_trip_us, row.round_trip_ratio);
    std::printf("%u B: one way %.0f messages/s, raw %.0f messages/s, ratio %.2f\n", row.size_bytes,
                row.messages_per_second, row.raw_messages_per_second, row.throughput_ratio);
    std::printf("%u B: one way, each message built anew, %.0f messages/s, ratio %.2f\n",
                row.size_bytes, row.fresh_messages_per_second, row.fresh_throughput_ratio);
  }
  std::fflush(stdout);
  return exit_fine;
}

}  // namespace

void add_bench_link(CLI::App& bench, action& chosen) {
  auto request = std::make_shared<link_bench_request>();
  CLI::App& command = *bench.add_subcommand("link",
                                            "round trip and one-way throughput from actor to actor "
                                            "between two processes, beside raw ZeroMQ");
  command
      .add_option("--size", request->settings.sizes_bytes,
                  "bytes of a message; may be given several times")
      ->capture_default_str()
      ->take_all()
      ->allow_extra_args(false)
      ->check(CLI::Range(1u, 64u << 20));
  command
      .add_option("--pairs", request->settings.pairs,
                  "alternating pairs of measurements, of which the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1000u));
  command.add_flag("--curve", request->settings.encrypted,
                   "encrypt the link, as between machines; raw ZeroMQ stays as it is");
  command.add_flag("--json", request->json, "print one JSON document (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return bench_link(*request); }; });
}

}  // namespace troupe::cli
