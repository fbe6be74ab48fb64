// Which named KV blocks have a copy in host memory, and what a text's blocks are called there: the
// tier behind a block_pool. Pure bookkeeping: it copies nothing.
//
// An entry is a named block: of the pool, of host memory, or of both. As in the pool a name is only
// a way to find it: a hit compares the entry's own tokens and its parent, the entry of the 16
// tokens before. Copies go for others' least recently used first.
//
// Invariants:
// - The pool's named blocks are entries, and no other blocks are.
// - An entry that is not in the pool has a place; a place belongs to one entry.
// - An entry's parent is an entry, and in the pool if the entry is: what goes takes all that
//   follows it along, so none is found whose beginning is not known.
// - Of two entries on the host alone, the one that follows was used less recently: what is dropped
//   for its age is a text's end.
// Memory: one entry for each block and place at most. Threading: none; its owner calls.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kernels/kv/block_pool.hpp"
#include "kernels/kv/kv_transfer.hpp"

namespace troupe::kernels {

class host_tier {
 public:
  // Read alone by others; valid until the next call that changes something.
  struct entry {
    block_name name = 0;
    entry* parent = nullptr;
    entry *first_child = nullptr, *next = nullptr, *before = nullptr;  // siblings
    std::optional<block_id> block;
    std::optional<host_place> place;
    entry *older = nullptr, *newer = nullptr;
    std::uint32_t depth = 1;
    std::array<token_id, kv_block_tokens> tokens{};
  };

  host_tier() = default;
  host_tier(std::uint32_t places, std::uint32_t blocks);
  host_tier(host_tier&&) = default;
  host_tier& operator=(host_tier&&) = default;

  std::uint32_t places() const { return static_cast<std::uint32_t>(owners_.size()); }
  std::uint32_t used() const { return places() - static_cast<std::uint32_t>(free_.size()); }
  std::uint64_t dropped() const { return dropped_; }  // entries whose last copy went for another

  // What happens in the pool. It has named the block that it holds of these tokens.
  void name(block_id id, block_name name, std::optional<block_id> parent, block_tokens tokens);
  // It takes the memory of a named block that no named block of its follows. What has a place
  // stays.
  void leave(block_id id);

  bool has(block_id id) const { return id < of_block_.size() && of_block_[id] != nullptr; }
  bool is_out(block_id id) const;    // has a place
  bool followed(block_id id) const;  // by an entry, wherever that is
  const entry* of(std::optional<block_id> id) const { return id ? of_block_[*id] : nullptr; }

  struct assigned {
    host_place place = 0;
    std::optional<block_id> instead_of;  // a block of the pool that has no copy any more
  };
  // A place for the copy of a block that has none. nullopt: there are no places.
  std::optional<assigned> assign(block_id id);

  // The entry of these tokens behind `parent` (null: at the beginning).
  const entry* find(block_name name, const entry* parent, block_tokens tokens) const;
  // Of one that is on the host alone: its place, which is now the most recently used.
  host_place use(const entry& found);
  // Drops the entry, unless another follows it. Of the pool: the caller has forgotten it there.
  bool forget(const entry& found);

  // At most `most` names of entries that are on the host alone, the most recently used first, at
  // the depths that block_pool::names() takes.
  std::vector<block_name> names(std::size_t most) const;

 private:
  void drop(entry& top);
  void erase(entry& one);
  void free_place(entry& one);
  void push_newest(entry& one);
  void unlink(entry& one);

  std::unordered_map<block_name, entry> entries_;
  std::vector<entry*> of_block_;  // null: not named
  std::vector<entry*> owners_;    // of each place
  std::vector<host_place> free_;
  entry *oldest_ = nullptr, *newest_ = nullptr;  // of those with a place
  std::uint64_t dropped_ = 0;
};

}  // namespace troupe::kernels
