#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/cuda_bench.hpp"
#include "tools/cli/bench_command.hpp"

namespace troupe::cli {
namespace {

struct gpu_bench_request {
  kernels::cuda_settings cuda;
  kernels::cuda_bench_request bench;
  bool json = false;
};

void print(const kernels::cuda_bench_report& report, std::uint32_t repeat) {
  std::printf("%s, sm %d, copy %.0f GB/s (read and written), medians of %u\n",
              report.device.name.c_str(), report.device.compute_capability,
              report.copy_bytes_per_second / 1e9, repeat);
  std::printf("%-26s %12s %10s %8s %12s\n", "kernel", "us", "GB/s", "of copy", "Gmac/s");
  for (const kernels::cuda_bench_row& row : report.rows)
    std::printf("%-26s %12.1f %10.0f %7.0f%% %12.0f\n", row.name.c_str(), row.seconds * 1e6,
                row.bytes_per_second / 1e9, row.share_of_copy * 100,
                row.multiply_adds_per_second / 1e9);
}

void print_json(const kernels::cuda_bench_report& report, std::uint32_t repeat) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const kernels::cuda_bench_row& row : report.rows)
    rows.push_back({{"kernel", row.name},
                    {"seconds", row.seconds},
                    {"bytes_per_second", row.bytes_per_second},
                    {"share_of_copy", row.share_of_copy},
                    {"multiply_adds_per_second", row.multiply_adds_per_second}});
  const nlohmann::ordered_json document = {{"device", report.device.name},
                                           {"compute_capability", report.device.compute_capability},
                                           {"repeat", repeat},
                                           {"copy_bytes_per_second", report.copy_bytes_per_second},
                                           {"rows", rows}};
  std::cout << document.dump(2) << "\n";
}

int bench_gpu(const gpu_bench_request& request) {
  const auto report = kernels::bench_cuda(request.cuda, request.bench);
  if (!report) return complain(report.failure());
  if (request.json)
    print_json(*report, request.bench.repeat);
  else
    print(*report, request.bench.repeat);
  return exit_fine;
}

}  // namespace

void add_bench_gpu(CLI::App& bench, action& chosen) {
  auto request = std::make_shared<gpu_bench_request>();
  CLI::App& command = *bench.add_subcommand(
      "gpu", "the CUDA engine's products and attention beside the GPU's own copy");
  command
      .add_option("--device", request->cuda.device, "which GPU, as CUDA counts them; -1 chooses")
      ->capture_default_str()
      ->check(CLI::Range(-1, 255));
  command.add_option("--rows", request->bench.n, "rows of each weight matrix")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command.add_option("--row-length", request->bench.k, "their length, a multiple of 256")
      ->capture_default_str()
      ->check(CLI::Range(256u, 1u << 20));
  command.add_option("--context", request->bench.context, "positions that attention reads")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command.add_option("--repeat", request->bench.repeat, "runs, of which the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1000u));
  command.add_flag("--json", request->json, "print one JSON document (tools/README.md)");
  command.callback([&chosen, request] { chosen = [request] { return bench_gpu(*request); }; });
}

}  // namespace troupe::cli
