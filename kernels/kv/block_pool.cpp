#include "kernels/kv/block_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace troupe::kernels {

block_pool::block_pool(std::uint32_t blocks) : blocks_(blocks) {
  for (block_id id = 0; id < blocks; ++id) free_.push(id);
}

std::optional<block_id> block_pool::next_given_up() const {
  if (!free_.empty()) return std::nullopt;
  block_id oldest = oldest_;
  while (oldest != none && blocks_[oldest].children > 0) oldest = blocks_[oldest].newer;
  return oldest == none ? std::nullopt : std::optional(oldest);
}

std::optional<block_id> block_pool::take() {
  if (free_.empty()) {
    const auto oldest = next_given_up();
    if (!oldest) return std::nullopt;
    unlink(*oldest);
    unname(*oldest);
    free_.push(*oldest);
  }
  const block_id id = free_.top();
  free_.pop();
  blocks_[id].users = 1;
  return id;
}

bool block_pool::extend(std::vector<block_id>& blocks, std::uint64_t tokens) {
  const std::uint64_t wanted = blocks_for(tokens);
  if (wanted > blocks.size() && wanted - blocks.size() > available()) return false;
  while (blocks.size() < wanted) blocks.push_back(*take());
  return true;
}

void block_pool::share(block_id id) {
  block& b = blocks_[id];
  assert(b.users > 0 || b.depth > 0);
  if (b.users == 0) unlink(id);
  ++b.users;
  b.used_at = ++uses_;
}

void block_pool::release(block_id id) {
  block& b = blocks_[id];
  assert(b.users > 0);
  if (--b.users > 0) return;
  if (b.depth == 0) {
    free_.push(id);
    return;
  }
  b.used_at = ++uses_;
  b.older = newest_;
  b.newer = none;
  (newest_ == none ? oldest_ : blocks_[newest_].newer) = id;
  newest_ = id;
  ++reusable_;
}

void block_pool::release_all(std::vector<block_id>& blocks) {
  for (; !blocks.empty(); blocks.pop_back()) release(blocks.back());
}

bool block_pool::holds(block_id id, block_id parent, block_tokens tokens) const {
  const block& b = blocks_[id];
  return b.parent == parent && std::equal(tokens.begin(), tokens.end(), b.tokens.begin());
}

std::optional<block_id> block_pool::find(block_name name, std::optional<block_id> parent,
                                         block_tokens tokens) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end() || !holds(found->second, parent.value_or(none), tokens))
    return std::nullopt;
  return found->second;
}

std::optional<block_id> block_pool::publish(block_id id, block_name name,
                                            std::optional<block_id> parent, block_tokens tokens) {
  assert(blocks_[id].users > 0 && blocks_[id].depth == 0);
  assert(!parent || (blocks_[*parent].users > 0 && blocks_[*parent].depth > 0));
  const auto [entry, fresh] = by_name_.try_emplace(name, id);
  if (!fresh) {
    const block_id known = entry->second;
    if (!holds(known, parent.value_or(none), tokens)) return std::nullopt;
    share(known);
    release(id);
    return known;
  }
  block& b = blocks_[id];
  b.name = name;
  b.parent = parent.value_or(none);
  b.depth = parent ? blocks_[*parent].depth + 1 : 1;
  b.used_at = ++uses_;
  std::copy(tokens.begin(), tokens.end(), b.tokens.begin());
  if (parent) ++blocks_[*parent].children;
  return id;
}

bool block_pool::forget(block_id id) {
  const block& b = blocks_[id];
  if (b.users > 0 || b.depth == 0 || b.children > 0) return false;
  unlink(id);
  unname(id);
  free_.push(id);
  return true;
}

void block_pool::unlink(block_id id) {
  block& b = blocks_[id];
  (b.older == none ? oldest_ : blocks_[b.older].newer) = b.newer;
  (b.newer == none ? newest_ : blocks_[b.newer].older) = b.older;
  b.older = b.newer = none;
  --reusable_;
}

void block_pool::unname(block_id id) {
  block& b = blocks_[id];
  assert(b.children == 0);
  by_name_.erase(b.name);
  if (b.parent != none) --blocks_[b.parent].children;
  b.parent = none;
  b.depth = 0;
}

std::vector<block_name> block_pool::names(std::size_t most) const {
  std::vector<block_id> chosen;
  for (block_id id = 0; id < size(); ++id) {
    const block& b = blocks_[id];
    if (b.depth > 0 && (b.children == 0 || std::has_single_bit(b.depth))) chosen.push_back(id);
  }
  const std::size_t kept = std::min(most, chosen.size());
  std::partial_sort(
      chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(kept), chosen.end(),
      [this](block_id a, block_id b) { return blocks_[a].used_at > blocks_[b].used_at; });
  std::vector<block_name> names(kept);
  for (std::size_t i = 0; i < kept; ++i) names[i] = blocks_[chosen[i]].name;
  return names;
}

}  // namespace troupe::kernels
