#include "kernels/backend/cuda/step_upload.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace troupe::kernels::cuda {
namespace {

template <class T>
std::uint64_t append(std::vector<std::uint8_t>& bytes, std::span<const T> values) {
  const std::uint64_t at = (bytes.size() + 15) / 16 * 16;
  bytes.resize(at + values.size_bytes());
  if (!values.empty()) std::memcpy(bytes.data() + at, values.data(), values.size_bytes());
  return at;
}

bool is_decode(const step_plan& plan) {
  return plan.rows().size() == plan.sequences().size();
}

std::vector<tile_group> append_tiles(std::vector<std::uint8_t>& bytes, const step_plan& plan,
                                     std::span<const planned_tile> planned, std::uint32_t group,
                                     std::span<const std::uint32_t> blocks_at) {
  std::vector<tile_group> groups;
  std::uint32_t least = 1;
  for (const std::uint32_t size : tile_sizes) {
    std::vector<attention_tile> tiles;
    tile_group of{.rows_max = size};
    for (const planned_tile& tile : planned) {
      const std::uint32_t rows = tile.row_end - tile.row_begin;
      if (rows < least || rows > size) continue;
      const planned_sequence& sequence = plan.sequences()[tile.sequence];
      tiles.push_back({.row = sequence.row,
                       .position = sequence.position,
                       .kv_head = tile.kv_head,
                       .begin = tile.row_begin,
                       .end = tile.row_end,
                       .blocks_at = blocks_at[tile.sequence]});
      const std::uint32_t end = sequence.position + (tile.row_end - 1) / group + 1;
      of.spans = std::max(of.spans, (end + attention_span - 1) / attention_span);
    }
    least = size + 1;
    if (tiles.empty()) continue;
    if (is_decode(plan)) of.spans = std::bit_ceil(of.spans);
    of.count = static_cast<std::uint32_t>(tiles.size());
    of.at = append(bytes, std::span<const attention_tile>(tiles));
    groups.push_back(of);
  }
  return groups;
}

step_shape shape_of(const step_plan& plan, const step_upload& of) {
  step_shape shape{plan.rows().size(),
                   plan.outputs().size(),
                   plan.logits_of().size(),
                   plan.hidden_of().size(),
                   of.best_rows,
                   of.tokens,
                   of.slots,
                   of.cosines,
                   of.sines,
                   of.outputs,
                   of.logits,
                   of.hidden,
                   of.best,
                   of.blocks};
  for (const std::vector<tile_group>* groups : {&of.tiles, &of.output_tiles}) {
    shape.push_back(groups->size());
    for (const tile_group& group : *groups)
      shape.insert(shape.end(), {group.rows_max, group.at, group.count, group.spans});
  }
  return shape;
}

}  // namespace

void lay_out(const step_plan& plan, std::uint32_t group, std::span<const float> cosines,
             std::span<const float> sines, step_upload& into) {
  std::vector<std::uint8_t>& bytes = into.bytes;
  bytes.clear();
  std::vector<token_id> tokens;
  std::vector<std::uint32_t> slots;
  for (const planned_row& row : plan.rows()) {
    tokens.push_back(row.token);
    slots.push_back(row.block);
    slots.push_back(row.position % kv_block_tokens);
  }
  into.tokens = append(bytes, std::span<const token_id>(tokens));
  into.slots = append(bytes, std::span<const std::uint32_t>(slots));
  into.cosines = append(bytes, cosines);
  into.sines = append(bytes, sines);
  into.outputs = append(bytes, plan.outputs());
  into.logits = append(bytes, plan.logits_of());
  into.hidden = append(bytes, plan.hidden_of());
  std::vector<std::uint32_t> best;
  for (std::uint32_t i = 0; i < plan.best_of().size(); ++i)
    if (plan.best_of()[i] > 0) best.push_back(i);
  into.best_rows = static_cast<std::uint32_t>(best.size());
  into.best = append(bytes, std::span<const std::uint32_t>(best));
  std::vector<std::uint32_t> blocks, blocks_at;
  for (const planned_sequence& sequence : plan.sequences()) {
    blocks_at.push_back(static_cast<std::uint32_t>(blocks.size()));
    blocks.insert(blocks.end(), sequence.blocks,
                  sequence.blocks + blocks_for(sequence.position + sequence.tokens));
  }
  into.tiles = append_tiles(bytes, plan, plan.tiles(), group, blocks_at);
  into.output_tiles = append_tiles(bytes, plan, plan.output_tiles(), group, blocks_at);
  // Last, since their number grows as sequences do: no offset depends on it.
  into.blocks = append(bytes, std::span<const std::uint32_t>(blocks));
  into.decode_shape = is_decode(plan) ? shape_of(plan, into) : step_shape{};
}

}  // namespace troupe::kernels::cuda
