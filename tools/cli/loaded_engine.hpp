// A model file and an engine for it, for the commands that compute without a cluster.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "config/outcome.hpp"
#include "kernels/cuda_engine.hpp"
#include "kernels/model/model.hpp"

namespace troupe::cli {

struct engine_request {
  std::string model;    // path of a GGUF file
  int threads = 0;      // 0: the machine's cores
  std::string variant;  // empty: the machine's best
  kernels::kv_type kv = kernels::kv_type::f16;
  std::string engine = "cpu";  // or "cuda"
  kernels::cuda_settings cuda = {};
};

struct loaded_engine {
  std::shared_ptr<const kernels::model> weights;
  std::unique_ptr<kernels::engine> engine;
};

void add_engine_options(CLI::App& command, engine_request& request);

// positions: how many tokens one sequence has room for; cut to the model's context.
result<loaded_engine> load_engine(const engine_request& request, std::uint64_t positions);
result<loaded_engine> load_engine(std::shared_ptr<const kernels::model> weights,
                                  const engine_request& request, std::uint64_t positions);

}  // namespace troupe::cli
