#include "kernels/backend/cpu/cpu_weights.hpp"

#include <algorithm>

#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels {
namespace {

std::vector<float> decode(const tensor_view& tensor) {
  std::vector<float> values(tensor.row_length());
  decode_row(tensor.type, tensor.bytes, values);
  return values;
}

class weight_loader {
 public:
  weight_loader(const matmul_backend& backend, thread_pool& pool)
      : backend_(backend), pool_(pool) {}

  cpu_matrix pack(const tensor_view& tensor) {
    cpu_matrix matrix{
        .type = tensor.type, .n = tensor.rows(), .k = tensor.row_length(), .packed = nullptr};
    matrix.packed = backend_.make(tensor.type, matrix.n, matrix.k, tensor.bytes);
    constexpr std::uint64_t chunk = 8 * packed_rows();
    pool_.run(static_cast<std::uint32_t>((matrix.n + chunk - 1) / chunk), [&](std::uint32_t item,
                                                                              std::uint32_t) {
      backend_.pack_rows(*matrix.packed, item * chunk, std::min(matrix.n, (item + 1) * chunk));
    });
    const std::uint64_t own = packed_bytes(*matrix.packed);
    bytes_ += own > 0 ? own : tensor.bytes.size();
    return matrix;
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  const matmul_backend& backend_;
  thread_pool& pool_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

cpu_weights cpu_weights::load(const model& source, layer_range layers,
                              const matmul_backend& backend, thread_pool& pool) {
  weight_loader loader(backend, pool);
  cpu_weights weights;
  for (std::uint32_t i = layers.first; i < layers.end; ++i) {
    const layer_tensors& tensors = source.layers[i];
    weights.layers.push_back({.attention_norm = decode(*tensors.attention_norm),
                              .feed_forward_norm = decode(*tensors.feed_forward_norm),
                              .query = loader.pack(*tensors.query),
                              .key = loader.pack(*tensors.key),
                              .value = loader.pack(*tensors.value),
                              .attention_output = loader.pack(*tensors.attention_output),
                              .gate = loader.pack(*tensors.gate),
                              .up = loader.pack(*tensors.up),
                              .down = loader.pack(*tensors.down)});
  }
  if (layers.end == source.shape.layers) {
    weights.output_norm = decode(*source.output_norm);
    weights.output = loader.pack(*source.output);
  }
  weights.bytes = loader.bytes();
  return weights;
}

}  // namespace troupe::kernels
