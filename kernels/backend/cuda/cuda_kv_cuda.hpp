// The paged keys and values of one engine on a GPU, in the layout of attention.hpp: every layer has
// room for the same blocks. Blocks are copied in and out as the CPU's store has them.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/backend/cuda/bodies/attention_places.hpp"
#include "kernels/backend/cuda/devices/runtime_cuda.hpp"
#include "kernels/backend/cuda/kv_compaction.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels::cuda {

class cuda_kv {
 public:
  // bytes: the bound; 0 is room for one sequence of the model's context. Errors:
  // resource_exhausted.
  static result<std::unique_ptr<cuda_kv>> make(const hyperparameters& shape, kv_type type,
                                               std::uint64_t bytes, device& on, const stream& first,
                                               const std::string& owner);

  device_kv layer(std::uint32_t index) const;
  std::uint32_t blocks() const { return blocks_; }
  std::uint64_t bytes() const { return layer_bytes_ * layers_; }
  std::uint64_t block_bytes() const { return block_bytes_ * layers_; }

  // One block of all layers, block_bytes() bytes of pinned memory, layer after layer. Asynchronous:
  // done when `on` has passed.
  status copy_out(block_id block, std::uint8_t* to, const stream& on) const;
  status copy_in(block_id block, const std::uint8_t* from, const stream& on);
  // Moves blocks as plan_compaction() says; whoever holds block ids renames them.
  status move(std::span<const kv_move> moves, const stream& on);

 private:
  cuda_kv() = default;

  device_buffer memory_;
  std::uint64_t block_bytes_ = 0, layer_bytes_ = 0;  // of a block in one layer; of a layer
  std::uint32_t blocks_ = 0, layers_ = 0, heads_ = 0, dimension_ = 0;
};

}  // namespace troupe::kernels::cuda
