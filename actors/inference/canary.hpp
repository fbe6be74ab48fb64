// Whether an engine computes right, told by its answer to a fixed prompt.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "kernels/engine.hpp"
#include "kernels/stage.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe {

// The first `count` greedy tokens after a fixed prompt, end tokens not regarded: equal wherever
// file and numerics class are equal. The engine's blocks must be free; their content is
// overwritten.
inline constexpr std::string_view canary_prompt = "One two three four five six seven";
result<std::vector<kernels::token_id>> run_canary(kernels::engine& engine,
                                                  const kernels::tokenizer& words,
                                                  std::uint32_t count);

// How far two classes may be apart where one rounds otherwise than the other: a share of the
// standard deviation of the processor's logits in that step. Rounding moves a logit by some share
// of that deviation, whatever the model's scale; it moved none by more than 0.11 of it in the
// project's own model (Q8_0, 36 steps, the class `tensor` on the host, 2026-11-28; larger models
// were not measured), and where each moves by 1/8 at most, the processor's best is behind another
// by 1/4 at most. A logit that has nothing to do with the processor's is about four deviations
// behind.
inline constexpr double canary_distance_max = 0.25;

// The largest distance at which the processor's token was behind the best of the engine under test,
// as both walk along the processor's canary `wanted`: each is given its tokens, so that one
// near-tie does not part them. Of every other token the best is asked for alone too, and must be
// the row's. Both have room for the canary. Errors: internal, where the distance is larger or a
// logit is not finite; what an engine's step says.
result<double> walk_along_canary(kernels::engine& tested, kernels::engine& processor,
                                 const kernels::tokenizer& words,
                                 const std::vector<kernels::token_id>& wanted);

// How far each token of `canary`, an engine's own answer, is behind the processor's best there, in
// the same deviations: for models of which the processor has room for some layers at a time. It
// computes prompt and answer in one pass, ranges of layers one after the other, whose weights and
// KV take bytes_max at most (one layer at least); so each layer is packed once. The largest of
// them; 0: each is the processor's. Errors: as the engines'.
result<double> judge_in_ranges(const std::shared_ptr<const kernels::model>& weights,
                               const kernels::engine_settings& settings, std::uint64_t bytes_max,
                               const std::vector<kernels::token_id>& canary);

}  // namespace troupe
