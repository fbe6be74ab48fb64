// Brings a model onto one GPU or several in two stages: the weights, then, when it is known how
// much memory they left everywhere, keys and values.
#pragma once

#include <memory>
#include <span>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

namespace troupe::kernels::cuda {

// What one GPU is to have of a model.
struct model_share {
  int device = any_device;
  layer_range layers = {};
  shard part = {};
  std::unique_ptr<gpu_group_member> group = nullptr;
};

// Weights on a device; given up unless they become an engine.
class loaded_share {
 public:
  // Errors: as make_cuda_engine().
  static result<std::unique_ptr<loaded_share>> load(const std::shared_ptr<const model>& weights,
                                                    const engine_settings& settings,
                                                    const cuda_settings& cuda, model_share wish);
  ~loaded_share();
  loaded_share(const loaded_share&) = delete;
  loaded_share& operator=(const loaded_share&) = delete;

  // Blocks for which there is room beside the rows of a step.
  std::uint64_t blocks_that_fit();
  // Once. `blocks`: of the KV store.
  result<std::unique_ptr<cuda_engine>> complete(std::uint64_t blocks);

 private:
  loaded_share() = default;

  cuda_engine::parts parts_;
  hyperparameters here_;
  bool given_ = false;
};

// One engine for each share, all with as many blocks: as many as settings.kv_bytes holds of the
// whole model, or, down to settings.kv_bytes_least, as there is room for.
result<std::vector<std::unique_ptr<cuda_engine>>> load_shares(
    const std::shared_ptr<const model>& weights, const engine_settings& settings,
    const cuda_settings& cuda, std::vector<model_share> wishes);

}  // namespace troupe::kernels::cuda
