// A device's memory as the pools see it: addresses and a bound, nothing behind them.
#pragma once

#include <cassert>
#include <map>

#include "kernels/backend/cuda/devices/memory_pools.hpp"

namespace troupe::kernels::testing {

class played_memory final : public cuda::memory_source {
 public:
  explicit played_memory(std::uint64_t bytes) : bytes_(bytes) {}
  ~played_memory() override { assert(taken_.empty()); }

  result<cuda::device_address> take(std::uint64_t bytes) override {
    if (bytes > free_bytes()) return error{error_code::resource_exhausted, "played", {}};
    const cuda::device_address at = next_;
    next_ += bytes + 4096;  // never neighbours
    taken_.emplace(at, bytes);
    return at;
  }
  void give_back(cuda::device_address at, std::uint64_t bytes) override {
    assert(taken_.at(at) == bytes);
    (void)bytes;
    taken_.erase(at);
  }
  std::uint64_t free_bytes() override {
    std::uint64_t free = bytes_;
    for (const auto& [at, bytes] : taken_) free -= bytes;
    return free;
  }
  bool holds(cuda::device_address at, std::uint64_t bytes) const {
    for (const auto& [begin, size] : taken_)
      if (at >= begin && at + bytes <= begin + size) return true;
    return false;
  }

 private:
  std::uint64_t bytes_;
  cuda::device_address next_ = 1 << 20;
  std::map<cuda::device_address, std::uint64_t> taken_;
};

}  // namespace troupe::kernels::testing
