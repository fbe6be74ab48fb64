// Engines that a GPU has part in: the whole model, its first layers with the others on the
// processor, or the first layers of a model whose others are elsewhere. And whether they compute
// right: an engine's canary must be the processor's, token for token, since the two have one order
// of arithmetic; in the class `tensor`, which has not, it must be near (canary.hpp).
//
// Threading: as engine_source.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "actors/inference/canary.hpp"
#include "actors/inference/inference_settings.hpp"
#include "kernels/cuda_engine.hpp"

namespace troupe {

// kernels/cuda_engine.hpp, or what a test plays of it.
struct gpu_doors {
  std::function<result<std::unique_ptr<kernels::engine>>(std::shared_ptr<const kernels::model>,
                                                         const kernels::engine_settings&,
                                                         const kernels::cuda_settings&)>
      whole = kernels::make_cuda_engine;
  std::function<result<std::unique_ptr<kernels::stage>>(std::shared_ptr<const kernels::model>,
                                                        const kernels::engine_settings&,
                                                        const kernels::cuda_settings&)>
      part = kernels::make_cuda_stage;
  std::function<result<std::uint32_t>(const kernels::model&, const kernels::engine_settings&,
                                      const kernels::cuda_settings&)>
      layers_that_fit = kernels::cuda_layers_that_fit;
};

class gpu_engines {
 public:
  using weights_ptr = std::shared_ptr<const kernels::model>;
  struct judged_engine {
    std::unique_ptr<kernels::engine> engine;
    std::vector<kernels::token_id> canary;
  };

  gpu_engines(const inference_settings& settings, gpu_doors doors)
      : settings_(settings), doors_(std::move(doors)) {}

  // Errors: as kernels::make_cuda_engine; internal, where it computes otherwise.
  result<judged_engine> whole(const weights_ptr& weights, const kernels::engine_settings& settings,
                              const kernels::memory_need& need) const;
  // As many first layers on the GPU as it has room for with keys and values for some thousand
  // tokens, the others on the processor. Errors: the same; resource_exhausted, where the GPU has
  // room for none or the processor not for the rest.
  result<judged_engine> partly(const weights_ptr& weights, const kernels::engine_settings& settings,
                               const kernels::memory_need& need) const;
  // settings.layers, not judged.
  result<std::unique_ptr<kernels::stage>> part(const weights_ptr& weights,
                                               const kernels::engine_settings& settings) const {
    return doors_.part(weights, settings, settings_.cuda);
  }
  // Whether the answer of an engine in parts is the processor's, which has so many bytes in use.
  status judge(const weights_ptr& weights, const kernels::engine_settings& settings,
               std::uint64_t bytes_used, const std::vector<kernels::token_id>& canary) const;

 private:
  status judge_whole(const weights_ptr& weights, kernels::engine_settings settings,
                     std::uint64_t kv_bytes, kernels::engine& on_gpu,
                     const std::vector<kernels::token_id>& canary) const;
  result<std::unique_ptr<kernels::stage>> first_layers(const weights_ptr& weights,
                                                       const kernels::engine_settings& settings,
                                                       const kernels::memory_need& need) const;
  result<std::unique_ptr<kernels::stage>> rest_behind(const kernels::stage& first,
                                                      const weights_ptr& weights,
                                                      kernels::engine_settings settings,
                                                      std::uint64_t& bytes) const;
  bool exact() const { return settings_.cuda.numerics == kernels::gpu_numerics::exact; }
  std::uint64_t canary_blocks(const kernels::engine& on) const;

  inference_settings settings_;
  gpu_doors doors_;
};

}  // namespace troupe
