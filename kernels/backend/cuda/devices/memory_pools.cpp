#include "kernels/backend/cuda/devices/memory_pools.hpp"

#include <algorithm>
#include <cassert>

namespace troupe::kernels::cuda {
namespace {

std::uint64_t rounded(std::uint64_t bytes) {
  return (bytes + memory_unit - 1) / memory_unit * memory_unit;
}

}  // namespace

memory_pools::memory_pools(const device_memory_settings& settings, memory_source& source)
    : settings_(settings), source_(source) {}

memory_pools::~memory_pools() {
  for (const pool& p : pools_)
    for (const auto& [begin, s] : p) source_.give_back(begin, s.bytes);
}

result<device_address> memory_pools::allocate(std::uint64_t bytes, const std::string& owner) {
  constexpr std::uint64_t bytes_max = std::uint64_t{1} << 48;
  if (bytes == 0 || bytes > bytes_max)
    return error{error_code::invalid_argument,
                 "a request of " + std::to_string(bytes) + " bytes of device memory",
                 "1 to " + std::to_string(bytes_max) + " are possible"};
  bytes = rounded(bytes);
  const std::uint64_t used = used_by(owner);
  if (settings_.model_bytes_max > 0 && used + bytes > settings_.model_bytes_max)
    return error{error_code::resource_exhausted,
                 owner + " would take " + std::to_string(used + bytes) +
                     " bytes of device memory; a model may take " +
                     std::to_string(settings_.model_bytes_max),
                 "raise gpu.model_bytes_max, or lower inference.kv_bytes"};
  device_address at = 0;
  const pool_size of = pool_of(bytes);
  if (carve(of, bytes, owner, at)) return at;
  if (status grown = grow(of, bytes); !grown) {
    for (const pool_size larger : {pool_size::medium, pool_size::large})
      if (larger > of && carve(larger, bytes, owner, at)) return at;
    return grown.failure();
  }
  const bool carved = carve(of, bytes, owner, at);
  assert(carved);
  (void)carved;
  return at;
}

bool memory_pools::carve(pool_size of, std::uint64_t bytes, const std::string& owner,
                         device_address& found) {
  segment* best = nullptr;
  std::uint64_t best_bytes = 0;
  for (auto& [begin, s] : at(of))
    for (const auto& [from, size] : s.free)
      if (size >= bytes && (best == nullptr || size < best_bytes)) {
        best = &s;
        best_bytes = size;
        found = from;
      }
  if (best == nullptr) return false;
  best->free.erase(found);
  if (best_bytes > bytes) best->free.emplace(found + bytes, best_bytes - bytes);
  pieces_.emplace(found, piece{bytes, of, best->begin, owner});
  used_[owner] += bytes;
  return true;
}

std::uint64_t memory_pools::untaken() const {
  const std::uint64_t free = source_.free_bytes();
  return free > settings_.reserve_bytes
             ? (free - settings_.reserve_bytes) / memory_unit * memory_unit
             : 0;
}

std::uint64_t memory_pools::largest(const std::string& owner) {
  trim();
  const std::uint64_t most = std::max(untaken(), state(pool_size::large).largest_free);
  if (settings_.model_bytes_max == 0) return most;
  const std::uint64_t used = used_by(owner);
  return std::min(most, settings_.model_bytes_max - std::min(used, settings_.model_bytes_max));
}

status memory_pools::grow(pool_size of, std::uint64_t bytes) {
  const std::uint64_t usual = of == pool_size::small    ? settings_.pool_small_bytes
                              : of == pool_size::medium ? settings_.pool_medium_bytes
                                                        : settings_.pool_large_bytes;
  if (untaken() < bytes) trim();
  const std::uint64_t most = untaken();
  if (most < bytes)
    return error{error_code::resource_exhausted,
                 "the device has " + std::to_string(most) + " bytes beside its reserve of " +
                     std::to_string(settings_.reserve_bytes) + "; " + std::to_string(bytes) +
                     " are needed",
                 "unload a model, lower inference.kv_bytes or use a smaller quantization"};
  const std::uint64_t wanted = std::min(std::max(rounded(usual), bytes), most);
  auto taken = source_.take(wanted);
  std::uint64_t got = wanted;
  if (!taken && wanted > bytes) {
    taken = source_.take(bytes);
    got = bytes;
  }
  if (!taken) return taken.failure();
  segment s{*taken, got, {}};
  s.free.emplace(*taken, got);
  at(of).emplace(*taken, std::move(s));
  return {};
}

void memory_pools::release(device_address where) {
  const auto found = pieces_.find(where);
  assert(found != pieces_.end());
  const piece gone = found->second;
  pieces_.erase(found);
  const auto owner = used_.find(gone.owner);
  owner->second -= gone.bytes;
  if (owner->second == 0) used_.erase(owner);

  auto& free = at(gone.pool).at(gone.segment).free;
  auto here = free.emplace(where, gone.bytes).first;
  if (const auto next = std::next(here);
      next != free.end() && here->first + here->second == next->first) {
    here->second += next->second;
    free.erase(next);
  }
  if (here == free.begin()) return;
  const auto before = std::prev(here);
  if (before->first + before->second != here->first) return;
  before->second += here->second;
  free.erase(here);
}

std::uint64_t memory_pools::trim() {
  std::uint64_t bytes = 0;
  for (pool& p : pools_)
    for (auto it = p.begin(); it != p.end();) {
      const segment& s = it->second;
      if (s.free.size() != 1 || s.free.begin()->second != s.bytes) {
        ++it;
        continue;
      }
      source_.give_back(s.begin, s.bytes);
      bytes += s.bytes;
      it = p.erase(it);
    }
  return bytes;
}

pool_state memory_pools::state(pool_size of) const {
  pool_state state;
  for (const auto& [begin, s] : pools_[static_cast<std::size_t>(of)]) {
    ++state.segments;
    state.bytes += s.bytes;
    state.bytes_used += s.bytes;
    for (const auto& [from, size] : s.free) {
      state.bytes_used -= size;
      state.largest_free = std::max(state.largest_free, size);
    }
  }
  return state;
}

std::uint64_t memory_pools::used_by(const std::string& owner) const {
  const auto found = used_.find(owner);
  return found == used_.end() ? 0 : found->second;
}

}  // namespace troupe::kernels::cuda
