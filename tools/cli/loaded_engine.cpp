#include "tools/cli/loaded_engine.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace troupe::cli {
namespace {

// A word of `words`; --help of CLI11's own way of it prints the enumeration's number.
template <class Enumeration>
void add_choice(CLI::App& command, const std::string& option, Enumeration& to,
                const std::map<std::string, Enumeration>& words, const std::string& help) {
  std::set<std::string> known;
  for (const auto& [word, value] : words) known.insert(word);
  command
      .add_option_function<std::string>(
          option, [&to, words](const std::string& word) { to = words.at(word); }, help)
      ->check(CLI::IsMember(known));
}

}  // namespace

void add_engine_options(CLI::App& command, engine_request& request) {
  command.add_option("--model", request.model, "a GGUF file")->required();
  command.add_option("--threads", request.threads, "compute threads; 0: the machine's cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command
      .add_option(
          "--variant", request.variant,
          "instruction set: reference, portable, avx2, avx512, amx; the machine's best by default")
      ->check(CLI::IsMember({"reference", "portable", "avx2", "avx512", "amx"}));
  add_choice<kernels::kv_type>(command, "--kv-type", request.kv,
                               {{"f16", kernels::kv_type::f16}, {"q8_0", kernels::kv_type::q8_0}},
                               "how keys and values are kept: f16 (default), q8_0");
  command.add_option("--engine", request.engine, "what computes: cpu, or cuda, a GPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command.add_option("--device", request.cuda.device, "which GPU, as CUDA counts them; -1 chooses")
      ->capture_default_str()
      ->check(CLI::Range(-1, 255));
  command.add_option("--devices", request.cuda.devices, "GPUs over which the model is spread: 0,1")
      ->delimiter(',')
      ->check(CLI::Range(0, 255));
  add_choice<kernels::gpu_spread>(
      command, "--spread", request.cuda.spread,
      {{"layers", kernels::gpu_spread::layers}, {"tensors", kernels::gpu_spread::tensors}},
      "what each of several GPUs has: layers (default), or tensors, a part of every matrix");
  add_choice<kernels::gpu_numerics>(
      command, "--numerics", request.cuda.numerics,
      {{"exact", kernels::gpu_numerics::exact}, {"tensor", kernels::gpu_numerics::tensor}},
      "how a GPU multiplies matrices: exact (default), in the processor's order; tensor, in "
      "float16 and bfloat16 on the tensor cores");
  command
      .add_option("--graphs", request.cuda.graphs_max,
                  "decode steps that a GPU keeps recorded; 0 starts every kernel by itself")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

result<loaded_engine> load_engine(const engine_request& request, std::uint64_t positions) {
  auto weights = kernels::model::open(request.model);
  if (!weights) return weights.failure();
  return load_engine(std::move(*weights), request, positions);
}

result<loaded_engine> load_engine(std::shared_ptr<const kernels::model> weights,
                                  const engine_request& request, std::uint64_t positions) {
  positions = std::clamp<std::uint64_t>(positions, 1, std::max(1u, weights->shape.context_tokens));
  const std::uint64_t blocks =
      (positions + kernels::kv_block_tokens - 1) / kernels::kv_block_tokens + 1;
  kernels::engine_settings settings;
  settings.threads = request.threads;
  settings.variant = request.variant;
  settings.kv = request.kv;
  settings.kv_bytes = blocks * kernels::cpu_memory_need(*weights, request.kv).kv_block_bytes;
  auto engine = request.engine == "cuda"
                    ? kernels::make_cuda_engine(weights, settings, request.cuda)
                    : kernels::make_cpu_engine(weights, settings);
  if (!engine) return engine.failure();
  return loaded_engine{std::move(weights), std::move(*engine)};
}

}  // namespace troupe::cli
