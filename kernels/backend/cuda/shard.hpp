// Tensor parallelism that changes no bit: each GPU has some rows of every matrix, so some of its
// outputs, and computes them over all of k as one GPU would. No sum is cut, so there is nothing to
// reduce: what the others computed is gathered, four times a layer.
//
// Pure. A part's rows are as many for each but the last, which may have fewer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/model/model.hpp"

namespace troupe::kernels::cuda {

struct row_range {
  std::uint64_t first = 0, count = 0;
};

struct shard {
  std::uint32_t rank = 0, count = 1;

  bool whole() const { return count == 1; }
  std::uint64_t each(std::uint64_t rows) const { return (rows + count - 1) / count; }
  row_range of(std::uint64_t rows) const {
    const std::uint64_t first = std::min(rank * each(rows), rows);
    return {first, std::min(each(rows), rows - first)};
  }
};

// What a part computes of each layer: its heads and hidden values.
inline hyperparameters shard_of(const hyperparameters& shape, const shard& part) {
  hyperparameters here = shape;
  here.heads /= part.count;
  here.heads_kv /= part.count;
  here.feed_forward /= part.count;
  return here;
}

// Why a model cannot be cut into `count` parts; nothing where it can.
inline std::optional<std::string> cannot_shard(const hyperparameters& shape, std::uint32_t count) {
  const std::pair<const char*, std::uint32_t> numbers[] = {
      {"key and value heads", shape.heads_kv},
      {"heads", shape.heads},
      {"embedding values", shape.embedding},
      {"feed-forward values", shape.feed_forward}};
  for (const auto& [what, number] : numbers)
    if (number % count != 0)
      return std::to_string(number) + " " + what + " are not " + std::to_string(count) +
             " equal parts";
  if (shape.vocabulary <= std::uint64_t{count} * count)
    return "a vocabulary of " + std::to_string(shape.vocabulary) + " is too small to be cut";
  return std::nullopt;
}

}  // namespace troupe::kernels::cuda
