// What one step's kernels read beside weights: laid out in one piece of memory, so that a single
// copy brings it to the device.
//
// Pure. Attention's tiles are grouped by how many rows they have at most (4, 8 or 16), since a
// kernel is made for each; the groups of the whole step come first, then those of the last layer,
// which computes the rows that are asked for alone. Steps that differ only in tokens, positions and
// blocks are laid out alike, so that launches recorded for one serve the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/backend/cpu/step_plan.hpp"
#include "kernels/backend/cuda/bodies/attention_places.hpp"
#include "kernels/backend/cuda/step_graphs.hpp"

namespace troupe::kernels::cuda {

inline constexpr std::uint32_t tile_sizes[] = {4, 8, 16};

struct tile_group {
  std::uint32_t rows_max = 0;
  std::uint64_t at = 0;  // byte offset of its tiles
  std::uint32_t count = 0;
  std::uint32_t spans = 0;  // of the longest; in decode rounded up to a power of two
};

struct step_upload {
  std::vector<std::uint8_t> bytes;
  // Byte offsets; each a multiple of 16.
  std::uint64_t tokens = 0, slots = 0, cosines = 0, sines = 0;
  std::uint64_t outputs = 0, logits = 0, hidden = 0, best = 0;  // row indexes
  std::uint64_t blocks = 0;
  std::uint32_t best_rows = 0;  // at `best`: those of the logits whose best alone are wanted
  std::vector<tile_group> tiles, output_tiles;
  // A token of each sequence, and all that launches depend on beside `bytes`; else empty.
  step_shape decode_shape;
};

// cosines, sines: plan.rows() rows of `dimension` floats. group: query heads of one kv head.
void lay_out(const step_plan& plan, std::uint32_t group, std::span<const float> cosines,
             std::span<const float> sines, step_upload& into);

}  // namespace troupe::kernels::cuda
