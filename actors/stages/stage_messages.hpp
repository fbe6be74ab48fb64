// What a stage computes, as the messages of proto/stage.proto, on both sides of the link. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "kernels/stage.hpp"

namespace troupe {

proto::StepStage step_message(const std::string& stage,
                              std::span<const kernels::sequence_step> batch,
                              std::span<const float> stream);

// A step as a stage got it. Refers to nothing of the message.
struct received_step {
  std::vector<kernels::sequence_step> batch;  // spans into the next three
  std::vector<kernels::token_id> tokens;  // zeros: behind the first layer only their number counts
  std::vector<std::vector<kernels::block_id>> blocks;
  std::vector<float> stream;
};
// Errors: invalid_argument, where it has more tokens than allowed or no whole rows.
result<received_step> step_of(const proto::StepStage& message, std::uint32_t tokens_max);

proto::StageStepped stepped_message(const std::string& stage, const kernels::stage_output& out);

// An output as the head got it, with what its spans point into.
struct received_output {
  std::vector<float> stream, logits, hidden;
  std::vector<kernels::best_logits> best;
  std::uint32_t rows = 0;
  kernels::stage_output view() const {
    return {.stream = stream,
            .logits = {.values = logits, .rows = rows, .hidden = hidden, .best = best}};
  }
};
result<received_output> output_of(const proto::StageStepped& message);

}  // namespace troupe
