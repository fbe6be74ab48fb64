// The messages of the inference conversation, filled in; and the checks of a StartSequence against
// an engine. Pure.
#pragma once

#include <optional>

#include "actors/core.hpp"
#include "actors/inference/inference_core.hpp"

namespace troupe {

envelope_ptr engine_loaded(const proto::Envelope& request, const engine_facts& facts);
// asked: a StartSequence or a GrantSequenceCredit.
envelope_ptr sequence_failed(const proto::Envelope& asked, const error& why);
envelope_ptr sequence_failed(const sequence& s, const error& why);
// The token that was accepted last; where the job asks for them, the most probable beside it.
envelope_ptr sequence_tokens(const sequence& s, const std::string& text,
                             const kernels::sampled_token& token,
                             std::span<const kernels::sampled_token> alternatives);
envelope_ptr sequence_finished(const sequence& s, const sequence::outcome& how,
                               const kernels::engine_description& engine, time_point_us now);

kernels::sampling_parameters parameters_of(const proto::SamplingParameters& sampling);

// Most tokens that the answer of a checked job can have.
std::uint32_t answer_room(const proto::StartSequence& start,
                          const kernels::engine_description& engine,
                          const inference_settings& settings);

// Refuses what the engine cannot serve exactly, with the numbers that were found and allowed.
std::optional<error> check_job(const proto::StartSequence& start,
                               const kernels::engine_description& engine,
                               const inference_settings& settings);

}  // namespace troupe
