// Which GPUs have what of a model.
#include <algorithm>
#include <set>
#include <string>

#include "kernels/backend/cuda/engine_loading_cuda.hpp"
#include "kernels/backend/cuda/sharded_engine_cuda.hpp"

namespace troupe::kernels {
namespace {

class cuda_stage final : public stage {
 public:
  explicit cuda_stage(std::unique_ptr<cuda::cuda_engine> layers) : engine_(std::move(layers)) {}
  const engine_description& description() const override { return engine_->description(); }
  layer_range layers() const override { return engine_->layers(); }
  status begin(std::span<const sequence_step> batch, std::span<const float> stream) override {
    return engine_->begin(batch, stream);
  }
  result<stage_output> finish() override { return engine_->finish(); }

 private:
  std::unique_ptr<cuda::cuda_engine> engine_;
};

// One engine, as settings.layers say, on cuda.device.
result<std::unique_ptr<cuda::cuda_engine>> make_one(const std::shared_ptr<const model>& weights,
                                                    const engine_settings& settings,
                                                    const cuda_settings& cuda) {
  std::vector<cuda::model_share> shares;
  shares.push_back({.device = cuda.device, .layers = settings.layers});
  auto made = cuda::load_shares(weights, settings, cuda, std::move(shares));
  if (!made) return made.failure();
  return std::move(made->front());
}

result<std::vector<std::uint64_t>> free_bytes_of(std::span<const int> devices) {
  const auto known = cuda_devices();
  if (!known) return known.failure();
  std::vector<std::uint64_t> room;
  for (const int index : devices) {
    const auto found = std::find_if(known->begin(), known->end(),
                                    [index](const cuda_device& one) { return one.index == index; });
    if (found == known->end())
      return error{error_code::invalid_argument, "there is no GPU " + std::to_string(index),
                   std::to_string(known->size()) + " GPUs are here; correct gpu.devices"};
    room.push_back(found->memory_bytes_free);
  }
  return room;
}

// A stage on each device of cuda.devices, by their free memory.
result<std::unique_ptr<engine>> make_spread(const std::shared_ptr<const model>& weights,
                                            const engine_settings& settings,
                                            const cuda_settings& cuda) {
  const auto room = free_bytes_of(cuda.devices);
  if (!room) return room.failure();
  const hyperparameters& shape = weights->shape;
  const std::vector<layer_range> shares = share_layers(shape.layers, *room);
  if (shares.empty())
    return error{error_code::invalid_argument,
                 std::to_string(shape.layers) + " layers cannot be spread over " +
                     std::to_string(room->size()) + " GPUs",
                 "name fewer in gpu.devices"};
  std::vector<cuda::model_share> wishes;
  for (std::size_t i = 0; i < shares.size(); ++i)
    wishes.push_back({.device = cuda.devices[i], .layers = shares[i]});
  auto made = cuda::load_shares(weights, settings, cuda, std::move(wishes));
  if (!made) return made.failure();
  std::vector<std::unique_ptr<stage>> stages;
  for (std::unique_ptr<cuda::cuda_engine>& one : *made)
    stages.push_back(std::make_unique<cuda_stage>(std::move(one)));
  return make_split_engine(weights, settings.batch_tokens_max, std::move(stages));
}

// A part of every matrix on each.
result<std::unique_ptr<engine>> make_shards(const std::shared_ptr<const model>& weights,
                                            const engine_settings& settings,
                                            const cuda_settings& cuda) {
  const auto count = static_cast<std::uint32_t>(cuda.devices.size());
  if (const auto room = free_bytes_of(cuda.devices); !room) return room.failure();
  if (std::set<int>(cuda.devices.begin(), cuda.devices.end()).size() != count)
    return error{error_code::invalid_argument, "a GPU stands twice among those of a model",
                 "name each once in gpu.devices"};
  if (const auto why = cuda::cannot_shard(weights->shape, count))
    return error{error_code::unsupported, *why,
                 "name another number of GPUs in gpu.devices, or set gpu.spread to layers"};
  auto members = cuda::gpu_group::make(cuda.devices);
  if (!members) return members.failure();
  std::vector<cuda::model_share> wishes;
  for (std::uint32_t rank = 0; rank < count; ++rank)
    wishes.push_back({.device = cuda.devices[rank],
                      .part = {rank, count},
                      .group = std::move((*members)[rank])});
  auto made = cuda::load_shares(weights, settings, cuda, std::move(wishes));
  if (!made) return made.failure();
  return std::unique_ptr<engine>(std::make_unique<cuda::sharded_engine>(std::move(*made)));
}

}  // namespace

result<std::unique_ptr<engine>> make_cuda_engine(std::shared_ptr<const model> weights,
                                                 const engine_settings& settings,
                                                 const cuda_settings& cuda) {
  engine_settings whole = settings;
  whole.layers = {};
  if (weights != nullptr && cuda.devices.size() > 1)
    return cuda.spread == gpu_spread::tensors ? make_shards(weights, whole, cuda)
                                              : make_spread(weights, whole, cuda);
  auto made = make_one(weights, whole, cuda);
  if (!made) return made.failure();
  return std::unique_ptr<engine>(std::move(*made));
}

result<std::unique_ptr<stage>> make_cuda_stage(std::shared_ptr<const model> weights,
                                               const engine_settings& settings,
                                               const cuda_settings& cuda) {
  auto made = make_one(weights, settings, cuda);
  if (!made) return made.failure();
  return std::unique_ptr<stage>(std::make_unique<cuda_stage>(std::move(*made)));
}

result<std::uint32_t> cuda_layers_that_fit(const model& weights, const engine_settings& settings,
                                           const cuda_settings& cuda) {
  auto on = cuda::device::open(cuda);
  if (!on) return on.failure();
  const std::uint64_t room = (*on)->largest({}), layers = weights.shape.layers;
  const auto need = [&](std::uint32_t count) {
    const layer_range range{0, count};
    return cuda::cuda_weight_bytes(weights, range) +
           cuda::cuda_engine::step_bytes(weights.shape, {}, range, settings.batch_tokens_max) +
           settings.kv_bytes / layers * count;
  };
  std::uint32_t fit = 0;
  while (fit < layers && need(fit + 1) <= room) ++fit;
  return fit;
}

}  // namespace troupe::kernels
