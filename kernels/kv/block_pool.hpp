// Hands out the block ids of one engine's paged KV store, with a count of users for each, and knows
// by name which blocks hold which computed tokens, so that sequences share them. Pure bookkeeping:
// it touches no KV memory.
//
// A full block whose KV is computed may be published under a name: a hash of all tokens up to its
// end. A named block that loses its last user stays reusable until its memory is wanted: the least
// recently released goes first. A name is only a way to find a block: a hit compares the block's
// own tokens and its parent (the named block of the 16 tokens before), so that names that collide
// cost a hit and never an answer.
//
// Invariants:
// - An id is free, or has users, or is reusable (named, without users).
// - Who holds a named block holds its parent, so a parent is released after its children and is
//   never taken away before them; parent ids therefore stay true.
// - Free ids come out lowest first, so that equal histories give equal ids.
// Threading: none; its owner calls. Memory: proportional to the number of blocks.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

using block_name = std::uint64_t;
using block_tokens = std::span<const token_id, kv_block_tokens>;

class block_pool {
 public:
  explicit block_pool(std::uint32_t blocks = 0);

  std::uint32_t size() const { return static_cast<std::uint32_t>(blocks_.size()); }
  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t reusable_count() const { return reusable_; }
  // What take() can give one after another.
  std::uint32_t available() const { return free_count() + reusable_; }
  std::uint32_t named_count() const { return static_cast<std::uint32_t>(by_name_.size()); }
  std::uint32_t users(block_id id) const { return blocks_[id].users; }

  // One block with one user: a free one, else the reusable one that was released first, which loses
  // its name. nullopt when all have users.
  std::optional<block_id> take();
  // The block that take() would take the name from; nullopt: none, it would give a free one.
  std::optional<block_id> next_given_up() const;

  // Extends `blocks` so that it holds `tokens` positions. Takes all that are missing or, returning
  // false, none.
  bool extend(std::vector<block_id>& blocks, std::uint64_t tokens);

  // One more user of a block that has users or is reusable.
  void share(block_id id);
  // One user less. Without a user a named block is reusable, another is free.
  void release(block_id id);
  // From the last to the first, so that children go before their parents.
  void release_all(std::vector<block_id>& blocks);

  // The block that holds these tokens after those of `parent` (none: at the beginning).
  std::optional<block_id> find(block_name name, std::optional<block_id> parent,
                               block_tokens tokens) const;
  // Gives a name to a full, computed block that the caller holds; its parent, which the caller
  // holds too, is named. Returns the block to use from now on: `id`, or the one that already holds
  // the same, with the caller as a user of that one and no longer of `id`. nullopt: the name
  // belongs to other tokens; the block stays without one.
  std::optional<block_id> publish(block_id id, block_name name, std::optional<block_id> parent,
                                  block_tokens tokens);
  // Frees a reusable block that no named block follows. False: it has users, followers or no name.
  bool forget(block_id id);

  // At most `most` names for others to find this pool by, the most recently used first: blocks at
  // the depths 1, 2, 4, 8 ... of their chain, and chains' ends.
  std::vector<block_name> names(std::size_t most) const;

 private:
  static constexpr block_id none = ~block_id{0};
  struct block {
    std::uint32_t users = 0;
    std::uint32_t children = 0;  // named blocks whose parent this is
    std::uint32_t depth = 0;     // blocks of its chain up to here; 0: not named
    block_id parent = none;
    block_id newer = none, older = none;  // among the reusable ones
    block_name name = 0;
    std::uint64_t used_at = 0;  // order of shares, publications and releases
    std::array<token_id, kv_block_tokens> tokens{};
  };
  bool holds(block_id id, block_id parent, block_tokens tokens) const;
  void unlink(block_id id);
  void unname(block_id id);

  std::vector<block> blocks_;
  std::priority_queue<block_id, std::vector<block_id>, std::greater<>> free_;
  std::unordered_map<block_name, block_id> by_name_;
  block_id oldest_ = none, newest_ = none;
  std::uint32_t reusable_ = 0;
  std::uint64_t uses_ = 0;
};

}  // namespace troupe::kernels
