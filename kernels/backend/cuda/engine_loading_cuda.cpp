#include "kernels/backend/cuda/engine_loading_cuda.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <string>
#include <utility>

#include "kernels/backend/cpu/kv_store.hpp"
#include "kernels/backend/layers.hpp"
#include "kernels/gpu_sensors.hpp"

namespace troupe::kernels::cuda {
namespace {

// A grid has at most 65535 rows of blocks, and a step's rows are such rows.
constexpr std::uint32_t batch_tokens_most = 32768;

status check_shape(const hyperparameters& shape, const engine_settings& settings) {
  if (settings.batch_tokens_max == 0 || settings.batch_tokens_max > batch_tokens_most)
    return error{error_code::invalid_argument,
                 "batch_tokens_max is " + std::to_string(settings.batch_tokens_max),
                 "1 to " + std::to_string(batch_tokens_most) + " are possible on a GPU"};
  if (shape.head_dimension > dimension_max || shape.head_dimension % 2 != 0)
    return error{error_code::unsupported,
                 "heads of " + std::to_string(shape.head_dimension) +
                     " values; the CUDA engine takes even ones up to " +
                     std::to_string(dimension_max),
                 "set inference.engine to cpu"};
  return {};
}

// Asks for the GPU at that place of the bus, where there is anybody to ask.
std::unique_ptr<device_watch> make_watch(const cuda_settings& settings, const std::string& bus_id) {
  device_watch::presence_of ask;
  const auto sensors = std::make_shared<const gpu_sensors>();
  if (sensors->present())
    ask = [sensors, bus_id] {
      const auto seen = sensors->at(bus_id);
      if (!seen) return device_presence::unknown;
      return seen->lost ? device_presence::gone : device_presence::there;
    };
  return std::make_unique<device_watch>(
      watch_settings{settings.step_deadline}, std::move(ask),
      [](const std::string& why) { end_process("computing a step", why); });
}

}  // namespace

result<std::unique_ptr<loaded_share>> loaded_share::load(
    const std::shared_ptr<const model>& weights, const engine_settings& settings,
    const cuda_settings& cuda, model_share wish) try {
  if (weights == nullptr)
    return error{error_code::invalid_argument, "an engine was asked for without a model",
                 "open a model first"};
  if (status s = check_shape(weights->shape, settings); !s) return s.failure();
  const auto layers = checked_layers(wish.layers, weights->shape);
  if (!layers) return layers.failure();
  cuda_settings chosen = cuda;
  chosen.device = wish.device;
  auto on = device::open(chosen);
  if (!on) return on.failure();
  if (status s = (*on)->bind(); !s) return s.failure();
  auto work = stream::make();
  if (!work) return work.failure();

  std::unique_ptr<loaded_share> made(new loaded_share);
  cuda_engine::parts& parts = made->parts_;
  parts.source = weights;
  static std::atomic<std::uint32_t> engines{0};
  parts.name = (weights->path.empty() ? weights->shape.name : weights->path.filename().string()) +
               " (engine " + std::to_string(++engines) + ")";
  parts.type = settings.kv;
  parts.numerics = cuda.numerics;
  parts.batch_tokens_max = settings.batch_tokens_max;
  parts.layers = *layers;
  parts.part = wish.part;
  parts.group = std::move(wish.group);
  // A graph names the buffer that was the stream's when it was recorded; rows from another stage
  // are copied to the one that is.
  parts.graphs_max = layers->first == 0 ? cuda.graphs_max : 0;
  parts.watch = make_watch(cuda, (*on)->description().bus_id);
  parts.work = std::move(*work);
  made->here_ = shard_of(part_of(weights->shape, *layers), wish.part);
  if (status s = (*on)->admit(parts.name, cuda_weight_bytes(*weights, *layers, wish.part)); !s)
    return s.failure();
  parts.on = std::move(*on);
  auto loaded =
      cuda_weights::load(*weights, *layers, wish.part, *parts.on, *parts.work, parts.name);
  if (!loaded) return loaded.failure();
  parts.weights = std::move(*loaded);
  return made;
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory to load the weights of this model",
               "use a smaller model or a smaller type of weights"};
}

loaded_share::~loaded_share() {
  if (!given_ && parts_.on != nullptr) parts_.on->leave(parts_.name);
}

std::uint64_t loaded_share::blocks_that_fit() {
  const std::uint64_t rows = cuda_engine::step_bytes(parts_.source->shape, parts_.part,
                                                     parts_.layers, parts_.batch_tokens_max);
  const std::uint64_t room = parts_.on->largest(parts_.name);
  return room > rows ? (room - rows) / kv_block_bytes(here_, parts_.type) : 0;
}

result<std::unique_ptr<cuda_engine>> loaded_share::complete(std::uint64_t blocks) try {
  if (status s = parts_.on->bind(); !s) return s.failure();
  auto kv = cuda_kv::make(here_, parts_.type, blocks * kv_block_bytes(here_, parts_.type),
                          *parts_.on, *parts_.work, parts_.name);
  if (!kv) return kv.failure();
  parts_.kv = std::move(*kv);
  auto copies = kv_copies::make(*parts_.kv, *parts_.work);
  if (!copies) return copies.failure();
  parts_.copies = std::move(*copies);
  given_ = true;
  return std::make_unique<cuda_engine>(std::move(parts_));
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory to make an engine on a GPU", {}};
}

result<std::vector<std::unique_ptr<cuda_engine>>> load_shares(
    const std::shared_ptr<const model>& weights, const engine_settings& settings,
    const cuda_settings& cuda, std::vector<model_share> wishes) {
  std::vector<std::unique_ptr<loaded_share>> loaded;
  for (model_share& wish : wishes) {
    auto made = loaded_share::load(weights, settings, cuda, std::move(wish));
    if (!made) return made.failure();
    loaded.push_back(std::move(*made));
  }
  const std::uint64_t of_block = kv_block_bytes(
      part_of(weights->shape, settings.layers.end == 0
                                  ? layer_range{settings.layers.first, weights->shape.layers}
                                  : settings.layers),
      settings.kv);
  std::uint64_t blocks = settings.kv_bytes == 0 ? blocks_for(weights->shape.context_tokens)
                                                : settings.kv_bytes / of_block;
  if (blocks == 0)
    return error{error_code::resource_exhausted,
                 "a KV store of " + std::to_string(settings.kv_bytes) +
                     " bytes holds no block of " + std::to_string(of_block) + " bytes",
                 "raise inference.kv_bytes"};
  if (settings.kv_bytes_least > 0) {
    const std::uint64_t least =
        std::min((settings.kv_bytes_least + of_block - 1) / of_block, blocks);
    for (const std::unique_ptr<loaded_share>& one : loaded)
      blocks = std::min(blocks, one->blocks_that_fit());
    if (blocks < least)
      return error{error_code::resource_exhausted,
                   "beside the weights a GPU has room for " + std::to_string(blocks * of_block) +
                       " bytes of keys and values; " + std::to_string(least * of_block) +
                       " are the least of use",
                   "unload a model, use a smaller quantization, or spread it over more GPUs "
                   "(gpu.devices)"};
  }
  std::vector<std::unique_ptr<cuda_engine>> engines;
  for (const std::unique_ptr<loaded_share>& one : loaded) {
    auto made = one->complete(blocks);
    if (!made) return made.failure();
    engines.push_back(std::move(*made));
  }
  return engines;
}

}  // namespace troupe::kernels::cuda
