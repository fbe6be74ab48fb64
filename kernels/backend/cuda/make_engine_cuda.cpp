// Chooses, checks and loads what a CUDA engine needs.
#include <atomic>
#include <new>
#include <string>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"
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

}  // namespace

result<std::unique_ptr<engine>> make_cuda_engine(std::shared_ptr<const model> weights,
                                                 const engine_settings& settings,
                                                 const cuda_settings& cuda) try {
  using namespace troupe::kernels::cuda;
  if (weights == nullptr)
    return error{error_code::invalid_argument, "an engine was asked for without a model",
                 "open a model first"};
  if (status s = check_shape(weights->shape, settings); !s) return s.failure();
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
  parts.batch_tokens_max = settings.batch_tokens_max;
  parts.graphs_max = cuda.graphs_max;
  parts.watch = make_watch(cuda, parts.on->description().bus_id);
  parts.work = std::move(*work);
  if (status s = parts.on->admit(parts.name, cuda_weight_bytes(*weights)); !s) return s.failure();
  const auto leave = [&parts](error why) {
    parts.on->leave(parts.name);
    return why;
  };
  auto loaded = cuda_weights::load(*weights, *parts.on, *parts.work, parts.name);
  if (!loaded) return leave(loaded.failure());
  parts.weights = std::move(*loaded);
  auto kv = cuda_kv::make(weights->shape, settings.kv, settings.kv_bytes, *parts.on, *parts.work,
                          parts.name);
  if (!kv) return leave(kv.failure());
  parts.kv = std::move(*kv);
  auto copies = kv_copies::make(*parts.kv, *parts.work);
  if (!copies) return leave(copies.failure());
  parts.copies = std::move(*copies);
  return std::unique_ptr<engine>(std::make_unique<cuda_engine>(std::move(parts)));
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory to load the weights of this model",
               "use a smaller model or a smaller type of weights"};
}

}  // namespace troupe::kernels
