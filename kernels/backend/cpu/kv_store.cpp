#include "kernels/backend/cpu/kv_store.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace troupe::kernels {

static_assert(attention_block == kv_block_tokens);

std::uint64_t kv_block_bytes(const hyperparameters& shape, kv_type type) {
  return kv_head_bytes(type, shape.head_dimension) * shape.heads_kv * shape.layers;
}

result<std::unique_ptr<kv_store>> kv_store::make(const hyperparameters& shape, kv_type type,
                                                 std::uint64_t bytes) {
  const std::uint64_t block_bytes = kv_block_bytes(shape, type);
  const std::uint64_t context_blocks =
      (std::uint64_t{shape.context_tokens} + kv_block_tokens - 1) / kv_block_tokens;
  const std::uint64_t blocks = std::min<std::uint64_t>(
      bytes == 0 ? context_blocks : bytes / block_bytes, std::numeric_limits<block_id>::max());
  if (blocks == 0)
    return error{error_code::resource_exhausted,
                 "a KV store of " + std::to_string(bytes) + " bytes holds no block of " +
                     std::to_string(block_bytes) + " bytes",
                 "raise the bound of the KV store"};
  if (blocks > (std::uint64_t{1} << 46) / block_bytes)
    return error{error_code::resource_exhausted,
                 "a KV store of " + std::to_string(blocks) + " blocks of " +
                     std::to_string(block_bytes) + " bytes is beyond the address space",
                 "lower the bound of the KV store"};
  std::unique_ptr<kv_store> store(new kv_store);
  void* memory = ::mmap(nullptr, blocks * block_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return error{error_code::resource_exhausted,
                 "no memory for a KV store of " + std::to_string(blocks * block_bytes) + " bytes",
                 "lower the bound of the KV store"};
  ::madvise(memory, blocks * block_bytes, MADV_HUGEPAGE);
  store->memory_ = memory;
  store->bytes_ = blocks * block_bytes;
  store->blocks_ = static_cast<std::uint32_t>(blocks);
  store->first_ = kv_layer{.bytes = static_cast<std::uint8_t*>(memory),
                           .block_bytes = block_bytes / shape.layers,
                           .heads = shape.heads_kv,
                           .dimension = shape.head_dimension};
  store->layer_bytes_ = store->first_.block_bytes * blocks;
  return store;
}

kv_store::~kv_store() {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
}

kv_layer kv_store::layer(std::uint32_t index) const {
  kv_layer layer = first_;
  layer.bytes += index * layer_bytes_;
  return layer;
}

void kv_store::copy_out(block_id block, std::uint8_t* to) const {
  for (std::uint64_t at = 0; at < bytes_; at += layer_bytes_, to += first_.block_bytes)
    std::memcpy(to, first_.bytes + at + block * first_.block_bytes, first_.block_bytes);
}

void kv_store::copy_in(block_id block, const std::uint8_t* from) {
  for (std::uint64_t at = 0; at < bytes_; at += layer_bytes_, from += first_.block_bytes)
    std::memcpy(first_.bytes + at + block * first_.block_bytes, from, first_.block_bytes);
}

}  // namespace troupe::kernels
