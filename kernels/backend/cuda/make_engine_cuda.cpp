// Chooses, checks and loads what a CUDA engine needs.
#include <algorithm>
#include <atomic>
#include <new>
#include <string>

#include "kernels/backend/cpu/kv_store.hpp"
#include "kernels/backend/cuda/cuda_engine_cuda.hpp"
#include "kernels/backend/layers.hpp"
#include "kernels/gpu_sensors.hpp"

namespace troupe::kernels {
namespace {

// A grid has at most 65535 rows of blocks, and a step's rows are such rows.
constexpr std::uint32_t batch_tokens_most = 32768;

status check_shape(const hyperparameters& shape, const engine_settings& settings) {
  if (settings.batch_tokens_max == 0 || settings.batch_tokens_max > batch_tokens_most)
    return error{error_code::invalid_argument,
                 "batch_tokens_max is " + std::to_string(settings.batch_tokens_max),
                 "1 to " + std::to_string(batch_tokens_most) + " are possible on a GPU"};
  if (shape.head_dimension > cuda::dimension_max || shape.head_dimension % 2 != 0)
    return error{error_code::unsupported,
                 "heads of " + std::to_string(shape.head_dimension) +
                     " values; the CUDA engine takes even ones up to " +
                     std::to_string(cuda::dimension_max),
                 "set inference.engine to cpu"};
  return {};
}

// Asks for the GPU at that place of the bus, where there is anybody to ask.
std::unique_ptr<cuda::device_watch> make_watch(const cuda_settings& settings,
                                               const std::string& bus_id) {
  cuda::device_watch::presence_of ask;
  const auto sensors = std::make_shared<const gpu_sensors>();
  if (sensors->present())
    ask = [sensors, bus_id] {
      const auto seen = sensors->at(bus_id);
      if (!seen) return cuda::device_presence::unknown;
      return seen->lost ? cuda::device_presence::gone : cuda::device_presence::there;
    };
  return std::make_unique<cuda::device_watch>(
      cuda::watch_settings{settings.step_deadline}, std::move(ask),
      [](const std::string& why) { cuda::end_process("computing a step", why); });
}

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

result<std::unique_ptr<cuda::cuda_engine>> make(std::shared_ptr<const model> weights,
                                                const engine_settings& settings,
                                                const cuda_settings& cuda) try {
  using namespace troupe::kernels::cuda;
  if (weights == nullptr)
    return error{error_code::invalid_argument, "an engine was asked for without a model",
                 "open a model first"};
  if (status s = check_shape(weights->shape, settings); !s) return s.failure();
  const auto layers = checked_layers(settings.layers, weights->shape);
  if (!layers) return layers.failure();
  auto on = device::open(cuda);
  if (!on) return on.failure();
  if (status s = (*on)->bind(); !s) return s.failure();
  auto work = stream::make();
  if (!work) return work.failure();

  cuda_engine::parts parts;
  parts.on = *on;
  parts.source = weights;
  static std::atomic<std::uint32_t> engines{0};
  parts.name = (weights->path.empty() ? weights->shape.name : weights->path.filename().string()) +
               " (engine " + std::to_string(++engines) + ")";
  parts.type = settings.kv;
  parts.numerics = cuda.numerics;
  parts.batch_tokens_max = settings.batch_tokens_max;
  parts.layers = *layers;
  // A graph names the buffer that was the stream's when it was recorded; rows from another stage
  // are copied to the one that is.
  parts.graphs_max = layers->first == 0 ? cuda.graphs_max : 0;
  parts.watch = make_watch(cuda, parts.on->description().bus_id);
  parts.work = std::move(*work);
  if (status s = parts.on->admit(parts.name, cuda_weight_bytes(*weights, *layers)); !s)
    return s.failure();
  const auto leave = [&parts](error why) {
    parts.on->leave(parts.name);
    return why;
  };
  auto loaded = cuda_weights::load(*weights, *layers, *parts.on, *parts.work, parts.name);
  if (!loaded) return leave(loaded.failure());
  parts.weights = std::move(*loaded);
  auto kv = cuda_kv::make(part_of(weights->shape, *layers), settings.kv, settings.kv_bytes,
                          *parts.on, *parts.work, parts.name);
  if (!kv) return leave(kv.failure());
  parts.kv = std::move(*kv);
  auto copies = kv_copies::make(*parts.kv, *parts.work);
  if (!copies) return leave(copies.failure());
  parts.copies = std::move(*copies);
  return std::make_unique<cuda_engine>(std::move(parts));
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory to load the weights of this model",
               "use a smaller model or a smaller type of weights"};
}

// A stage on each device of cuda.devices, by their free memory, all with as many blocks.
result<std::unique_ptr<engine>> make_spread(const std::shared_ptr<const model>& weights,
                                            const engine_settings& settings,
                                            const cuda_settings& cuda) {
  const auto known = cuda_devices();
  if (!known) return known.failure();
  std::vector<std::uint64_t> room;
  for (const int index : cuda.devices) {
    const auto found = std::find_if(known->begin(), known->end(),
                                    [index](const cuda_device& one) { return one.index == index; });
    if (found == known->end())
      return error{error_code::invalid_argument, "there is no GPU " + std::to_string(index),
                   std::to_string(known->size()) + " GPUs are here; correct gpu.devices"};
    room.push_back(found->memory_bytes_free);
  }
  const std::vector<layer_range> shares = share_layers(weights->shape.layers, room);
  if (shares.empty())
    return error{error_code::invalid_argument,
                 std::to_string(weights->shape.layers) + " layers cannot be spread over " +
                     std::to_string(room.size()) + " GPUs",
                 "name fewer in gpu.devices"};
  const std::uint64_t blocks = settings.kv_bytes / kv_block_bytes(weights->shape, settings.kv);
  std::vector<std::unique_ptr<stage>> stages;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    engine_settings part = settings;
    part.layers = shares[i];
    part.kv_bytes = blocks * kv_block_bytes(part_of(weights->shape, shares[i]), settings.kv);
    cuda_settings one = cuda;
    one.device = cuda.devices[i];
    auto made = make_cuda_stage(weights, part, one);
    if (!made) return made.failure();
    stages.push_back(std::move(*made));
  }
  return make_split_engine(weights, settings.batch_tokens_max, std::move(stages));
}

}  // namespace

result<std::unique_ptr<engine>> make_cuda_engine(std::shared_ptr<const model> weights,
                                                 const engine_settings& settings,
                                                 const cuda_settings& cuda) {
  engine_settings whole = settings;
  whole.layers = {};
  if (weights != nullptr && cuda.devices.size() > 1) return make_spread(weights, whole, cuda);
  auto made = make(std::move(weights), whole, cuda);
  if (!made) return made.failure();
  return std::unique_ptr<engine>(std::move(*made));
}

result<std::unique_ptr<stage>> make_cuda_stage(std::shared_ptr<const model> weights,
                                               const engine_settings& settings,
                                               const cuda_settings& cuda) {
  auto made = make(std::move(weights), settings, cuda);
  if (!made) return made.failure();
  return std::unique_ptr<stage>(std::make_unique<cuda_stage>(std::move(*made)));
}

}  // namespace troupe::kernels
