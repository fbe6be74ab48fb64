#include "kernels/backend/cuda/cuda_kv_cuda.hpp"

#include <algorithm>
#include <limits>

namespace troupe::kernels::cuda {

result<std::unique_ptr<cuda_kv>> cuda_kv::make(const hyperparameters& shape, kv_type type,
                                               std::uint64_t bytes, device& on, const stream& first,
                                               const std::string& owner) {
  std::unique_ptr<cuda_kv> made(new cuda_kv);
  made->layers_ = shape.layers;
  made->heads_ = shape.heads_kv;
  made->dimension_ = shape.head_dimension;
  made->block_bytes_ = kv_head_bytes(type, shape.head_dimension) * shape.heads_kv;
  const std::uint64_t all = made->block_bytes();
  const std::uint64_t blocks =
      std::min<std::uint64_t>(bytes == 0 ? blocks_for(shape.context_tokens) : bytes / all,
                              std::numeric_limits<std::int32_t>::max());
  if (blocks == 0)
    return error{error_code::resource_exhausted,
                 "a KV store of " + std::to_string(bytes) + " bytes holds no block of " +
                     std::to_string(all) + " bytes",
                 "raise inference.kv_bytes"};
  made->blocks_ = static_cast<std::uint32_t>(blocks);
  made->layer_bytes_ = made->block_bytes_ * blocks;
  if (status s = made->memory_.reserve(on, made->bytes(), owner); !s) return s.failure();
  if (status s = check(cudaMemsetAsync(made->memory_.as<void>(), 0, made->bytes(), first.get()),
                       "clearing the KV store");
      !s)
    return s.failure();
  return made;
}

device_kv cuda_kv::layer(std::uint32_t index) const {
  return {memory_.as<std::uint8_t>() + index * layer_bytes_, block_bytes_, heads_, dimension_};
}

status cuda_kv::copy_out(block_id block, std::uint8_t* to, const stream& on) const {
  return check(
      cudaMemcpy2DAsync(to, block_bytes_, memory_.as<std::uint8_t>() + block * block_bytes_,
                        layer_bytes_, block_bytes_, layers_, cudaMemcpyDeviceToHost, on.get()),
      "copying a KV block out");
}

status cuda_kv::copy_in(block_id block, const std::uint8_t* from, const stream& on) {
  return check(
      cudaMemcpy2DAsync(memory_.as<std::uint8_t>() + block * block_bytes_, layer_bytes_, from,
                        block_bytes_, block_bytes_, layers_, cudaMemcpyHostToDevice, on.get()),
      "copying a KV block in");
}

status cuda_kv::move(std::span<const kv_move> moves, const stream& on) {
  for (const kv_move& m : moves)
    if (status s = check(
            cudaMemcpy2DAsync(memory_.as<std::uint8_t>() + m.to * block_bytes_, layer_bytes_,
                              memory_.as<std::uint8_t>() + m.from * block_bytes_, layer_bytes_,
                              block_bytes_, layers_, cudaMemcpyDeviceToDevice, on.get()),
            "moving a KV block");
        !s)
      return s;
  return {};
}

}  // namespace troupe::kernels::cuda
