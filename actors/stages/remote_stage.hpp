// A stage that another node computes (kernels/stage.hpp), reached over the post office.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/stages/stage_desk.hpp"
#include "kernels/kv/kv_type.hpp"
#include "kernels/stage.hpp"

namespace troupe {

struct remote_stage_wish {
  std::string node;  // who computes
  std::string digest;
  kernels::layer_range layers;
  std::uint32_t kv_blocks = 0;
  kernels::kv_type kv = kernels::kv_type::f16;
  std::uint32_t batch_tokens_max = 0;
  std::uint32_t vocabulary = 0, embedding = 0;  // of the model
  bool last = false;                            // its layers end the model
  std::chrono::milliseconds open_wait{600'000}, step_wait{30'000};
};

using stage_opener =
    std::function<result<std::unique_ptr<kernels::stage>>(const remote_stage_wish&)>;

// Opens it, which may take minutes, and closes it at its end. A step that is refused for lack of
// memory leaves it as it was; after any other failure it is lost: what its blocks hold is unknown.
// Errors: those of the other node; unavailable, deadline_exceeded. The office outlives it.
result<std::unique_ptr<kernels::stage>> open_remote_stage(std::shared_ptr<stage_desk> desk,
                                                          post_office& office,
                                                          const remote_stage_wish& wish);

}  // namespace troupe
