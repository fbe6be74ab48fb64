// The paged store of keys and values of one engine: every layer has room for the same blocks
// (layout in attention.hpp).
//
// Memory comes zeroed and is given by the system as it is touched, so that a large bound costs
// nothing until used. Threading: plain memory; the engine orders who writes.
#pragma once

#include <cstdint>
#include <memory>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"
#include "kernels/ops/attention.hpp"

namespace troupe::kernels {

// Bytes that one block takes in all layers.
std::uint64_t kv_block_bytes(const hyperparameters& shape, kv_type type);

class kv_store {
 public:
  // bytes: the bound; 0 is room for one sequence of the model's context. Errors:
  // resource_exhausted.
  static result<std::unique_ptr<kv_store>> make(const hyperparameters& shape, kv_type type,
                                                std::uint64_t bytes);
  ~kv_store();
  kv_store(const kv_store&) = delete;
  kv_store& operator=(const kv_store&) = delete;

  kv_layer layer(std::uint32_t index) const;
  std::uint32_t blocks() const { return blocks_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t block_bytes() const { return bytes_ / blocks_; }  // in all layers

  // One block of all layers, layer after layer.
  void copy_out(block_id block, std::uint8_t* to) const;
  void copy_in(block_id block, const std::uint8_t* from);

 private:
  kv_store() = default;

  void* memory_ = nullptr;
  std::uint64_t bytes_ = 0;
  std::uint64_t layer_bytes_ = 0;
  std::uint32_t blocks_ = 0;
  kv_layer first_;
};

}  // namespace troupe::kernels
