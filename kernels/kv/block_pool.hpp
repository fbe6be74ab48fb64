// Hands out the block ids of one engine's paged KV store, with a count of users for each, so that
// sequences may share blocks. Pure bookkeeping: it touches no KV memory.
//
// Invariants: an id is free or has at least one user; ids come out lowest first, so that equal
// histories give equal ids. Threading: none; its owner calls. Memory: proportional to the number of
// blocks.
#pragma once

#include <cassert>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

class block_pool {
 public:
  explicit block_pool(std::uint32_t blocks) : users_(blocks, 0) {
    for (block_id id = 0; id < blocks; ++id) free_.push(id);
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(users_.size()); }
  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t users(block_id id) const { return users_[id]; }

  // One block with one user; nullopt when none is free.
  std::optional<block_id> take() {
    if (free_.empty()) return std::nullopt;
    const block_id id = free_.top();
    free_.pop();
    users_[id] = 1;
    return id;
  }

  // Extends `blocks` so that it holds `tokens` positions. Takes all that are missing or, returning
  // false, none.
  bool extend(std::vector<block_id>& blocks, std::uint64_t tokens) {
    const std::uint64_t wanted = (tokens + kv_block_tokens - 1) / kv_block_tokens;
    if (wanted > blocks.size() && wanted - blocks.size() > free_.size()) return false;
    while (blocks.size() < wanted) blocks.push_back(*take());
    return true;
  }

  // One more user of a block that is in use.
  void share(block_id id) {
    assert(users_[id] > 0);
    ++users_[id];
  }

  // One user less; the last one frees it.
  void release(block_id id) {
    assert(users_[id] > 0);
    if (--users_[id] == 0) free_.push(id);
  }

  void release_all(std::vector<block_id>& blocks) {
    for (const block_id id : blocks) release(id);
    blocks.clear();
  }

 private:
  std::vector<std::uint32_t> users_;
  std::priority_queue<block_id, std::vector<block_id>, std::greater<>> free_;
};

}  // namespace troupe::kernels
