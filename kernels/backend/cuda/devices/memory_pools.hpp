// Which part of a device's memory belongs to whom: three pools by size of request, each of segments
// that are taken from the device whole and handed out in pieces.
//
// Pure bookkeeping over addresses; the device's memory is behind memory_source, so that tests need
// no device. A request takes the smallest free range that holds it (the lowest of equals), in a
// pool of larger pieces where its own has none and the device has no more; a released range joins
// its free neighbours; equal histories give equal addresses. What does not fit into the device less
// its reserve, or into its owner's budget, is refused as a value. Threading: none, the caller
// locks.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/cuda_engine.hpp"

namespace troupe::kernels::cuda {

using device_address = std::uint64_t;

class memory_source {
 public:
  virtual ~memory_source() = default;
  // At a multiple of 256. Errors: resource_exhausted.
  virtual result<device_address> take(std::uint64_t bytes) = 0;
  virtual void give_back(device_address at, std::uint64_t bytes) = 0;
  virtual std::uint64_t free_bytes() = 0;
};

enum class pool_size : std::uint8_t { small, medium, large };
inline constexpr std::uint64_t small_request_max = 1 << 20;
inline constexpr std::uint64_t medium_request_max = 64 << 20;
inline constexpr std::uint64_t memory_unit = 256;

constexpr pool_size pool_of(std::uint64_t bytes) {
  return bytes <= small_request_max    ? pool_size::small
         : bytes <= medium_request_max ? pool_size::medium
                                       : pool_size::large;
}

struct pool_state {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0, bytes_used = 0;
  std::uint64_t largest_free = 0;

  // The share of what is free that no single request can have: 0 where all of it lies together.
  double fragmentation() const {
    const std::uint64_t free = bytes - bytes_used;
    return free == 0 ? 0.0 : 1.0 - static_cast<double>(largest_free) / static_cast<double>(free);
  }
};

class memory_pools {
 public:
  memory_pools(const device_memory_settings& settings, memory_source& source);
  ~memory_pools();
  memory_pools(const memory_pools&) = delete;
  memory_pools& operator=(const memory_pools&) = delete;

  // owner: whose budget it counts for. Errors: invalid_argument (0 bytes), resource_exhausted.
  result<device_address> allocate(std::uint64_t bytes, const std::string& owner);
  void release(device_address at);
  // Gives segments back that hold nothing. Returns the bytes.
  std::uint64_t trim();

  // Bytes of the largest single request above medium_request_max that would be granted now.
  std::uint64_t largest(const std::string& owner);

  pool_state state(pool_size of) const;
  std::uint64_t used_by(const std::string& owner) const;

 private:
  struct segment {
    device_address begin = 0;
    std::uint64_t bytes = 0;
    std::map<device_address, std::uint64_t> free;  // no two are neighbours
  };
  struct piece {
    std::uint64_t bytes = 0;
    pool_size pool = pool_size::small;
    device_address segment = 0;
    std::string owner;
  };
  using pool = std::map<device_address, segment>;

  bool carve(pool_size of, std::uint64_t bytes, const std::string& owner, device_address& at);
  status grow(pool_size of, std::uint64_t bytes);
  std::uint64_t untaken() const;  // beside the reserve
  pool& at(pool_size of) { return pools_[static_cast<std::size_t>(of)]; }

  device_memory_settings settings_;
  memory_source& source_;
  std::array<pool, 3> pools_;
  std::map<device_address, piece> pieces_;
  std::map<std::string, std::uint64_t> used_;
};

}  // namespace troupe::kernels::cuda
