// A model in parts: an engine whose layers lie on several devices or machines, one part behind the
// other.
//
// A stage computes a range of layers of each step, with the keys and values of these layers. Into
// all but the first go the rows of the residual stream, and out of all but the last; the last gives
// what an engine gives. A row's bits are those of one engine with all layers: the stream passes as
// the floats that it is. All stages of a split have blocks of the same numbers. Threading: as for
// an engine.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

struct stage_output {
  // embedding_size floats for each token of the step, in order; empty from the last stage.
  std::span<const float> stream;
  step_logits logits = {};  // of the last stage
};

class stage {
 public:
  virtual ~stage() = default;
  // weight_bytes and kv_bytes: of this machine.
  virtual const engine_description& description() const = 0;
  virtual layer_range layers() const = 0;
  // Hands a step in; `batch` and `stream` stay as they are until finish(), which every begin()
  // needs. stream: as stage_output's, of the stage before; empty for the first one.
  virtual status begin(std::span<const sequence_step> batch, std::span<const float> stream) = 0;
  // Waits for it. Valid until the next begin(). Errors: those of engine::step(); unavailable where
  // the other machine does not answer.
  virtual result<stage_output> finish() = 0;
  virtual std::optional<error> lost() const { return std::nullopt; }
};

// Ranges of so many layers, one behind the other, about in proportion to `room` (of each stage), at
// least one each. Empty where there are fewer layers than stages, or no stage.
std::vector<layer_range> share_layers(std::uint32_t layers, std::span<const std::uint64_t> room);

// settings.layers: which. Errors: invalid_argument for a range that is no part of the model; those
// of make_cpu_engine().
result<std::unique_ptr<stage>> make_cpu_stage(std::shared_ptr<const model> weights,
                                              const engine_settings& settings);

// The stages in order, which must be the whole model. A long step goes through them in pieces, so
// that all compute at once. Its numerics class is the stages', joined by '+' where they differ.
result<std::unique_ptr<engine>> make_split_engine(const std::shared_ptr<const model>& weights,
                                                  std::uint32_t batch_tokens_max,
                                                  std::vector<std::unique_ptr<stage>> stages);

}  // namespace troupe::kernels
