// What the inference core orders of an engine's KV transfer, carried out.
#pragma once

#include "actors/inference/inference_core.hpp"

namespace troupe {

// Before plan(): tells the core how many copies each of `engine`'s next batch may hold.
status tell_copy_room(inference_core& core, const std::string& digest, kernels::engine& engine);

// Before the batch's step. An error leaves blocks without what the core believes in them: the
// engine is then lost.
status begin_copies(const inference_core::batch& batch, kernels::engine& engine);

// Where there was work and no batch: until a copy may begin.
status wait_for_copies(kernels::engine& engine);

}  // namespace troupe
