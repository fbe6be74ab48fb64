#include "kernels/ops/best_logits.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace troupe::kernels {
namespace {

bool finite(float value) {
  return (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u;
}

std::vector<std::uint32_t> best_ids(std::span<const float> row, std::uint32_t count,
                                    const elementwise_ops& ops) {
  if (count == 1) {  // found by value: a comparison that waits for none before it
    const float largest = ops.largest(row.data(), row.size());
    return {static_cast<std::uint32_t>(std::find(row.begin(), row.end(), largest) - row.begin())};
  }
  std::vector<std::uint32_t> ids(row.size());
  std::iota(ids.begin(), ids.end(), 0u);
  const std::size_t kept = std::min<std::size_t>(count, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end(),
                    [row](std::uint32_t a, std::uint32_t b) {
                      return row[a] != row[b] ? row[a] > row[b] : a < b;
                    });
  ids.resize(kept);
  return ids;
}

}  // namespace

bool all_finite(std::span<const float> row) {
  std::uint32_t bad = 0;  // no branch, so that lanes can be used
  for (const float value : row) bad |= finite(value) ? 0u : 1u;
  return bad == 0;
}

best_logits best_of(std::span<const float> row, std::uint32_t count, const elementwise_ops& ops) {
  best_logits best;
  if (row.empty() || count == 0) return best;
  if (!all_finite(row)) {
    const auto bad = std::find_if_not(row.begin(), row.end(), finite);
    best.tokens.push_back({static_cast<std::int32_t>(bad - row.begin()), *bad});
    return best;
  }
  for (const std::uint32_t id : best_ids(row, count, ops))
    best.tokens.push_back({static_cast<std::int32_t>(id), row[id]});
  best.exponential_sum =
      ops.exponentials(row.data(), row.size(), best.tokens.front().logit, 1.0f, nullptr);
  return best;
}

}  // namespace troupe::kernels
