// A block_pool with host memory behind it: what both hold, and which copies make it so. Pure: it
// decides the copies, its owner has the engine do them, in order and before the next step
// (kv_transfer.hpp says why nobody has to wait for them).
//
// Write behind: of the blocks that have no user, those that go next have a copy already, as far as
// copies can run: as many as half of the pool, or half of the places. The memory of one that has
// none is taken all the same: where a copy can still begin it goes out first and the step that
// writes the block waits for that on the device; else its content is dropped, and so is what
// follows it. So taking memory never waits, and costs a hit at worst.
// Read: a text's next block is brought into a block that its sequence holds, and named at once:
// whoever shares it meets the same copy.
//
// Without places it is the pool alone. Threading: none; its owner calls.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/kv/block_pool.hpp"
#include "kernels/kv/host_tier.hpp"

namespace troupe::kernels {

struct kv_copy_order {
  bool brings = false;  // in from the place; else out to it
  block_id block = 0;
  host_place place = 0;
  friend bool operator==(const kv_copy_order&, const kv_copy_order&) = default;
};

class tiered_blocks {
 public:
  struct counters {
    std::uint64_t restored = 0, copied_out = 0;  // blocks
  };

  tiered_blocks() = default;
  tiered_blocks(std::uint32_t blocks, std::uint32_t places);

  // As block_pool's.
  std::uint32_t size() const { return pool_.size(); }
  std::uint32_t available() const { return pool_.available(); }
  std::uint32_t reusable_count() const { return pool_.reusable_count(); }
  std::uint32_t users(block_id id) const { return pool_.users(id); }
  bool extend(std::vector<block_id>& blocks, std::uint64_t tokens);
  void share(block_id id);
  void release(block_id id);
  void release_all(std::vector<block_id>& blocks);
  std::optional<block_id> find(block_name name, std::optional<block_id> parent,
                               block_tokens tokens) const {
    return pool_.find(name, parent, tokens);
  }
  std::optional<block_id> publish(block_id id, block_name name, std::optional<block_id> parent,
                                  block_tokens tokens);

  // Whether host memory has the block of these tokens, and the pool has not.
  bool is_kept(block_name name, std::optional<block_id> parent, block_tokens tokens) const;
  // Brings it into `id`, an unnamed block of the caller's that nothing was written to; it is
  // published then. False: it is not kept, or no copy can begin now.
  bool restore(block_id id, block_name name, std::optional<block_id> parent, block_tokens tokens);

  // Forgets what both hold of a text, given as its blocks' names and tokens, from its end on, up to
  // the first block that has users or is followed by what another text has. Returns how many are
  // forgotten and how many of the text's blocks are left.
  std::pair<std::uint32_t, std::uint32_t> forget(std::span<const block_name> names,
                                                 std::span<const token_id> tokens);

  // Copies that may begin from now on: before anything else of a step is decided.
  void set_room(std::uint32_t copies) { room_ = copies; }
  // Orders copies of what goes next, as far as copies are left beside those that bring in.
  void write_behind();
  // Blocks without users that have a copy: their memory can be taken and nothing is lost.
  std::uint32_t ready_count() const { return ready_; }
  // Whether write_behind() would, had it room.
  bool is_behind() const;
  // What was ordered since; nothing more is, until there is room again.
  std::vector<kv_copy_order> take_orders() {
    room_ = 0;
    return std::exchange(orders_, {});
  }

  // At most `most` names by which others find what is held here or there.
  std::vector<block_name> names(std::size_t most) const;
  const host_tier& host() const { return host_; }
  const counters& count() const { return counters_; }

 private:
  bool on() const { return host_.places() > 0; }
  block_id take();
  bool copy_out(block_id id);
  void settle(block_id id);
  void unsettle(block_id id);
  bool forget_here(block_id id);

  block_pool pool_;
  host_tier host_;
  std::uint32_t room_ = 0;
  std::uint32_t ready_ = 0;
  std::deque<block_id> to_copy_;  // had no users and no copy when they came here
  std::vector<bool> in_to_copy_;  // of each block
  std::vector<kv_copy_order> orders_;
  counters counters_;
};

}  // namespace troupe::kernels
