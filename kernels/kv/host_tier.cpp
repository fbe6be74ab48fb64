#include "kernels/kv/host_tier.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace troupe::kernels {

host_tier::host_tier(std::uint32_t places, std::uint32_t blocks)
    : of_block_(blocks, nullptr), owners_(places, nullptr), free_(places) {
  for (host_place p = 0; p < places; ++p) free_[p] = places - 1 - p;
}

bool host_tier::is_out(block_id id) const {
  return has(id) && of_block_[id]->place;
}

bool host_tier::followed(block_id id) const {
  return has(id) && of_block_[id]->first_child != nullptr;
}

const host_tier::entry* host_tier::find(block_name name, const entry* parent,
                                        block_tokens tokens) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return nullptr;
  const entry& e = found->second;
  return e.parent == parent && std::equal(tokens.begin(), tokens.end(), e.tokens.begin()) ? &e
                                                                                          : nullptr;
}

void host_tier::name(block_id id, block_name name, std::optional<block_id> parent,
                     block_tokens tokens) {
  assert(!has(id));
  entry* const before = parent ? of_block_[*parent] : nullptr;
  if (find(name, before, tokens) == nullptr)  // other tokens of that name: on the host alone
    if (const auto other = entries_.find(name); other != entries_.end()) drop(other->second);
  const auto [at, fresh] = entries_.try_emplace(name);
  entry& e = at->second;
  of_block_[id] = &e;
  e.block = id;
  if (!fresh) return;
  e.name = name;
  std::copy(tokens.begin(), tokens.end(), e.tokens.begin());
  e.parent = before;
  if (before == nullptr) return;
  e.depth = before->depth + 1;
  e.next = before->first_child;
  if (e.next != nullptr) e.next->before = &e;
  before->first_child = &e;
}

void host_tier::leave(block_id id) {
  entry& e = *of_block_[id];
  of_block_[id] = nullptr;
  e.block.reset();
  if (!e.place) return drop(e);
  unlink(e);
  push_newest(e);
}

std::optional<host_tier::assigned> host_tier::assign(block_id id) {
  entry& e = *of_block_[id];
  assert(!e.place);
  if (owners_.empty()) return std::nullopt;
  assigned out;
  if (free_.empty()) {
    entry& oldest = *oldest_;
    out.instead_of = oldest.block;
    if (oldest.block)
      free_place(oldest);
    else
      drop(oldest);
  }
  out.place = free_.back();
  free_.pop_back();
  e.place = out.place;
  owners_[out.place] = &e;
  push_newest(e);
  return out;
}

host_place host_tier::use(const entry& found) {
  entry& e = *owners_[*found.place];
  unlink(e);
  push_newest(e);
  return *e.place;
}

bool host_tier::forget(const entry& found) {
  if (found.first_child != nullptr) return false;
  entry& e = entries_.at(found.name);
  if (e.block) of_block_[*e.block] = nullptr;
  erase(e);
  return true;
}

// Whatever follows is on the host alone: what is in the pool has its parent there.
void host_tier::drop(entry& top) {
  for (entry* at = &top;;) {
    while (at->first_child != nullptr) at = at->first_child;
    entry* const parent = at->parent;
    const bool last = at == &top;
    assert(!at->block);
    ++dropped_;
    erase(*at);
    if (last) return;
    at = parent;
  }
}

void host_tier::erase(entry& one) {
  if (one.place) free_place(one);
  if (one.next != nullptr) one.next->before = one.before;
  if (one.before != nullptr)
    one.before->next = one.next;
  else if (one.parent != nullptr)
    one.parent->first_child = one.next;
  entries_.erase(one.name);
}

void host_tier::free_place(entry& one) {
  unlink(one);
  owners_[*one.place] = nullptr;
  free_.push_back(*one.place);
  one.place.reset();
}

void host_tier::push_newest(entry& one) {
  one.older = newest_;
  one.newer = nullptr;
  (newest_ == nullptr ? oldest_ : newest_->newer) = &one;
  newest_ = &one;
}

void host_tier::unlink(entry& one) {
  (one.older == nullptr ? oldest_ : one.older->newer) = one.newer;
  (one.newer == nullptr ? newest_ : one.newer->older) = one.older;
}

std::vector<block_name> host_tier::names(std::size_t most) const {
  std::vector<block_name> out;
  for (const entry* e = newest_; e != nullptr && out.size() < most; e = e->older)
    if (!e->block && (e->first_child == nullptr || std::has_single_bit(e->depth)))
      out.push_back(e->name);
  return out;
}

}  // namespace troupe::kernels
