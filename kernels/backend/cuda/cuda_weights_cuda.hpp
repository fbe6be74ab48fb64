// A model's weights on a GPU: each matrix in planes (weight_planes.hpp), norms as floats.
//
// Immutable after load.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/backend/cuda/bodies/weight_planes.hpp"
#include "kernels/backend/cuda/devices/runtime_cuda.hpp"
#include "kernels/backend/cuda/shard.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels::cuda {

// Of a range of the model's layers; the embedding is there with the first, the output with the
// last. Of a shard each matrix has its rows alone, but for the embedding.
struct cuda_layer {
  const float *attention_norm = nullptr, *feed_forward_norm = nullptr;
  device_matrix query, key, value, attention_output, gate, up, down;
};

class cuda_weights {
 public:
  // Errors: resource_exhausted.
  static result<std::unique_ptr<cuda_weights>> load(const model& source, layer_range layers,
                                                    shard part, device& on, const stream& copies,
                                                    const std::string& owner);

  std::vector<cuda_layer> layers;
  const float* output_norm = nullptr;
  device_matrix embedding, output;  // of one memory where the output is tied
  std::uint64_t bytes = 0;

 private:
  friend class weight_uploads;
  std::vector<device_buffer> memory_;
};

// Bytes that load() takes.
std::uint64_t cuda_weight_bytes(const model& source, layer_range layers, shard part = {});

}  // namespace troupe::kernels::cuda
