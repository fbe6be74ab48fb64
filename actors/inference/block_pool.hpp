// The free KV blocks of one engine. All or nothing: a sequence takes every block it can ever need
// when it is admitted, so a running sequence never waits for memory and none has to be thrown out.
//
// Invariant: each id 0 .. total() - 1 is either free or held by exactly one taker.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe {

class block_pool {
 public:
  explicit block_pool(std::uint32_t blocks = 0) : total_(blocks) {
    free_.reserve(blocks);
    for (std::uint32_t id = blocks; id > 0; --id) free_.push_back(id - 1);
  }

  std::uint32_t total() const { return total_; }
  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }

  std::optional<std::vector<kernels::block_id>> take(std::uint32_t count) {
    if (count > free_.size()) return std::nullopt;
    std::vector<kernels::block_id> taken(free_.end() - count, free_.end());
    free_.resize(free_.size() - count);
    return taken;
  }

  void give_back(std::vector<kernels::block_id>&& blocks) {
    assert(free_.size() + blocks.size() <= total_);
    free_.insert(free_.end(), blocks.begin(), blocks.end());
    blocks.clear();
  }

 private:
  std::uint32_t total_ = 0;
  std::vector<kernels::block_id> free_;
};

// Blocks that hold `tokens` positions.
constexpr std::uint64_t blocks_for(std::uint64_t tokens) {
  return (tokens + kernels::kv_block_tokens - 1) / kernels::kv_block_tokens;
}

}  // namespace troupe
