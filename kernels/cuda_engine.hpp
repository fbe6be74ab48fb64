// The door to the CUDA engine: which GPUs there are, and an engine (engine.hpp) on one of them.
//
// Needs no CUDA header, no driver and no device to be called: where one is missing, the answer is
// an error that says which. Numerics classes: cuda-smXX-1 and cuda-smXX-tensor-1, both with -kvq8
// behind them where keys and values are q8_0.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "kernels/engine.hpp"
#include "kernels/stage.hpp"

namespace troupe::kernels {

// How a GPU's memory is divided.
struct device_memory_settings {
  // Taken from the device at a time for requests up to 1 MiB, up to 64 MiB, and larger ones.
  std::uint64_t pool_small_bytes = std::uint64_t{256} << 20;
  std::uint64_t pool_medium_bytes = std::uint64_t{1} << 30;
  std::uint64_t pool_large_bytes = std::uint64_t{4} << 30;
  std::uint64_t reserve_bytes = std::uint64_t{512} << 20;  // never taken
  // One model's weights, KV and rows; 0: no bound but the device's.
  std::uint64_t model_bytes_max = 0;
};

// The one with most free memory, then the coolest, then the least busy.
inline constexpr int any_device = -1;

// What each of several GPUs has of a model. layers: some of them each, in proportion to free memory
// (pipeline parallelism). tensors: a part of every matrix, and all work on every token at once
// (tensor parallelism); needs NCCL, and heads, widths and hidden values that divide by their
// number.
enum class gpu_spread { layers, tensors };

// How matrix products are computed; all else is computed in the processor's order by both.
enum class gpu_numerics : std::uint8_t {
  exact,   // in the processor's order of arithmetic
  tensor,  // float16 and bfloat16 on the tensor cores, in an order of its own
};

struct cuda_settings {
  int device = any_device;
  std::vector<int> devices = {};  // two and more: a model is spread over them, in this order
  gpu_spread spread = gpu_spread::layers;
  gpu_numerics numerics = gpu_numerics::exact;
  // Of a step; one that has not ended by then has lost its device. 0: it is waited for.
  std::chrono::milliseconds step_deadline{0};
  std::uint32_t graphs_max = 32;  // recorded decode steps that are kept; 0: every launch by itself
  device_memory_settings memory = {};
};

struct cuda_device {
  int index = 0;
  std::string name = {};
  int compute_capability = 0;  // 90 for 9.0
  int multiprocessors = 0;
  std::uint64_t memory_bytes = 0, memory_bytes_free = 0;
  std::string bus_id = {};  // its place on the PCI bus
  // What the management library tells of it (gpu_sensors.hpp), where it is there.
  bool lost = false;
  std::optional<double> celsius = {}, busy_share = {};
};

// Errors: unsupported, where this build has no CUDA engine or this machine no device for it.
result<std::vector<cuda_device>> cuda_devices();

// The engine ends the process where the device is lost (a sticky error, a step past its deadline, a
// GPU that is gone from the bus): nothing computed since is
// to be trusted. `affinity`, `threads` and `variant` of `settings` are the CPU's and not regarded.
// Errors: as cuda_devices(); invalid_argument (no such device, bounds); unsupported (a shape that
// the kernels do not take); resource_exhausted.
result<std::unique_ptr<engine>> make_cuda_engine(std::shared_ptr<const model> weights,
                                                 const engine_settings& settings,
                                                 const cuda_settings& cuda);

// The same of settings.layers (stage.hpp). begin() leaves the device at work, so that stages on
// several GPUs compute at once.
result<std::unique_ptr<stage>> make_cuda_stage(std::shared_ptr<const model> weights,
                                               const engine_settings& settings,
                                               const cuda_settings& cuda);

// How many of the model's first layers cuda.device has room for now, beside the rows of a step,
// with their part of settings.kv_bytes (of the whole model); 0: none. Errors: as cuda_devices(),
// invalid_argument.
result<std::uint32_t> cuda_layers_that_fit(const model& weights, const engine_settings& settings,
                                           const cuda_settings& cuda);

}  // namespace troupe::kernels
