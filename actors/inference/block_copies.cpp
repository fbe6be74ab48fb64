#include "actors/inference/block_copies.hpp"

namespace troupe {

status tell_copy_room(inference_core& core, const std::string& digest, kernels::engine& engine) {
  kernels::kv_transfer* const transfer = engine.transfer();
  if (transfer == nullptr) return {};
  const auto room = transfer->room();
  if (!room) return room.failure();
  core.set_copy_room(digest, *room);
  return {};
}

status begin_copies(const inference_core::batch& batch, kernels::engine& engine) {
  kernels::kv_transfer* const transfer = engine.transfer();
  for (const kernels::kv_copy_order& one : batch.copies) {
    const auto begun = one.brings ? transfer->bring_in(one.block, one.place)
                                  : transfer->take_out(one.block, one.place);
    if (!begun) return begun.failure();
  }
  return {};
}

status wait_for_copies(kernels::engine& engine) {
  kernels::kv_transfer* const transfer = engine.transfer();
  return transfer == nullptr ? status{} : transfer->wait_for_room();
}

}  // namespace troupe
