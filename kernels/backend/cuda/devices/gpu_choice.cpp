#include "kernels/backend/cuda/devices/gpu_choice.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace troupe::kernels::cuda {
namespace {

constexpr double memory_latitude = 0.125;  // of the most
constexpr double celsius_latitude = 5, busy_latitude = 0.1;

using reading = std::optional<double> cuda_device::*;

// Leaves those that are at most `latitude` above the least.
void keep_least(std::vector<const cuda_device*>& left, reading of, double latitude) {
  std::optional<double> least;
  for (const cuda_device* one : left)
    if (one->*of) least = std::min(least.value_or(*(one->*of)), *(one->*of));
  std::erase_if(left, [&](const cuda_device* one) {
    return one->*of && !(*(one->*of) <= *least + latitude);
  });
}

}  // namespace

const cuda_device* choose_gpu(std::span<const cuda_device> devices) {
  std::vector<const cuda_device*> left;
  double most = 0;
  for (const cuda_device& one : devices) {
    if (one.lost) continue;
    left.push_back(&one);
    most = std::max(most, static_cast<double>(one.memory_bytes_free));
  }
  std::erase_if(left, [&](const cuda_device* one) {
    return static_cast<double>(one->memory_bytes_free) < most * (1 - memory_latitude);
  });
  keep_least(left, &cuda_device::celsius, celsius_latitude);
  keep_least(left, &cuda_device::busy_share, busy_latitude);
  const auto first = std::min_element(
      left.begin(), left.end(),
      [](const cuda_device* a, const cuda_device* b) { return a->index < b->index; });
  return first == left.end() ? nullptr : *first;
}

}  // namespace troupe::kernels::cuda
