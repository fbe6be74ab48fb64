#include "kernels/kv/tiered_blocks.hpp"

#include <algorithm>
#include <cassert>

namespace troupe::kernels {
namespace {

// Left to sequences whose blocks are brought in: they would wait behind what nobody waits for.
constexpr std::uint32_t room_kept = kv_transfer::running_max / 2;

}  // namespace

tiered_blocks::tiered_blocks(std::uint32_t blocks, std::uint32_t places)
    : pool_(blocks), host_(places, places > 0 ? blocks : 0), in_to_copy_(places > 0 ? blocks : 0) {}

// It has lost its last user.
void tiered_blocks::settle(block_id id) {
  if (host_.is_out(id)) {
    ++ready_;
  } else if (host_.has(id) && !in_to_copy_[id]) {
    in_to_copy_[id] = true;
    to_copy_.push_back(id);
  }
}

// It had none, and is used or given up.
void tiered_blocks::unsettle(block_id id) {
  if (host_.is_out(id)) --ready_;
}

void tiered_blocks::share(block_id id) {
  if (pool_.users(id) == 0) unsettle(id);
  pool_.share(id);
}

void tiered_blocks::release(block_id id) {
  pool_.release(id);
  if (on() && pool_.users(id) == 0) settle(id);
}

void tiered_blocks::release_all(std::vector<block_id>& blocks) {
  for (; !blocks.empty(); blocks.pop_back()) release(blocks.back());
}

bool tiered_blocks::extend(std::vector<block_id>& blocks, std::uint64_t tokens) {
  const std::uint64_t wanted = blocks_for(tokens);
  if (wanted > blocks.size() && wanted - blocks.size() > available()) return false;
  while (blocks.size() < wanted) blocks.push_back(take());
  return true;
}

block_id tiered_blocks::take() {
  if (const auto next = on() ? pool_.next_given_up() : std::nullopt) {
    unsettle(*next);
    if (!host_.is_out(*next)) copy_out(*next);
    host_.leave(*next);
  }
  return *pool_.take();
}

// False: there is no room, or no place.
bool tiered_blocks::copy_out(block_id id) {
  if (room_ == 0) return false;
  const auto to = host_.assign(id);
  if (!to) return false;
  if (to->instead_of && pool_.users(*to->instead_of) == 0) {
    --ready_;
    settle(*to->instead_of);
  }
  --room_;
  ++counters_.copied_out;
  orders_.push_back({false, id, to->place});
  return true;
}

std::optional<block_id> tiered_blocks::publish(block_id id, block_name name,
                                               std::optional<block_id> parent,
                                               block_tokens tokens) {
  if (!on()) return pool_.publish(id, name, parent, tokens);
  if (const auto known = find(name, parent, tokens); known && pool_.users(*known) == 0)
    unsettle(*known);
  const auto used = pool_.publish(id, name, parent, tokens);
  if (used == id) host_.name(id, name, parent, tokens);
  return used;
}

bool tiered_blocks::is_kept(block_name name, std::optional<block_id> parent,
                            block_tokens tokens) const {
  const host_tier::entry* found = on() ? host_.find(name, host_.of(parent), tokens) : nullptr;
  return found != nullptr && !found->block;
}

bool tiered_blocks::restore(block_id id, block_name name, std::optional<block_id> parent,
                            block_tokens tokens) {
  if (room_ == 0 || !is_kept(name, parent, tokens)) return false;
  --room_;
  ++counters_.restored;
  orders_.push_back({true, id, host_.use(*host_.find(name, host_.of(parent), tokens))});
  [[maybe_unused]] const auto used = publish(id, name, parent, tokens);
  assert(used == id);  // the pool's names are all entries, and this one was not in the pool
  return true;
}

std::pair<std::uint32_t, std::uint32_t> tiered_blocks::forget(std::span<const block_name> names,
                                                              std::span<const token_id> tokens) {
  const auto tokens_of = [&](std::size_t b) {
    return tokens.subspan(b * kv_block_tokens).first<kv_block_tokens>();
  };
  std::vector<block_id> here;
  std::vector<const host_tier::entry*> there;
  std::size_t b = 0;
  for (std::optional<block_id> parent; b < names.size(); ++b) {
    parent = find(names[b], parent, tokens_of(b));
    if (!parent) break;
    here.push_back(*parent);
  }
  if (on()) {
    const auto* parent = here.empty() ? nullptr : host_.of(here.back());
    for (; b < names.size(); ++b) {
      parent = host_.find(names[b], parent, tokens_of(b));
      if (parent == nullptr) break;
      there.push_back(parent);
    }
  }
  const std::size_t all = here.size() + there.size();
  while (!there.empty() && host_.forget(*there.back())) there.pop_back();
  while (!here.empty() && forget_here(here.back())) here.pop_back();
  const auto left = static_cast<std::uint32_t>(here.size() + there.size());
  return {static_cast<std::uint32_t>(all) - left, left};
}

bool tiered_blocks::forget_here(block_id id) {
  if (host_.followed(id)) return false;
  const host_tier::entry* entry = on() ? host_.of(id) : nullptr;
  if (!pool_.forget(id)) return false;
  if (entry == nullptr) return true;
  unsettle(id);
  return host_.forget(*entry);
}

bool tiered_blocks::is_behind() const {
  const std::uint32_t wanted = std::min(pool_.size(), host_.places()) / 2;
  return !to_copy_.empty() && pool_.free_count() + ready_ < wanted;
}

void tiered_blocks::write_behind() {
  while (is_behind() && room_ > room_kept) {
    const block_id id = to_copy_.front();
    to_copy_.pop_front();
    in_to_copy_[id] = false;
    if (pool_.users(id) == 0 && host_.has(id) && !host_.is_out(id) && copy_out(id)) ++ready_;
  }
}

std::vector<block_name> tiered_blocks::names(std::size_t most) const {
  std::vector<block_name> out = pool_.names(most);
  std::vector<block_name> kept = host_.names(most);
  kept.resize(std::min(kept.size(), std::max(most / 2, most - out.size())));
  out.resize(std::min(out.size(), most - kept.size()));
  out.insert(out.end(), kept.begin(), kept.end());
  return out;
}

}  // namespace troupe::kernels
