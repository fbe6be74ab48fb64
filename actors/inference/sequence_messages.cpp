#include "actors/inference/sequence_messages.hpp"

#include <algorithm>

namespace troupe {
namespace {

void fill(proto::Error& to, const error& why) {
  to.set_code(static_cast<proto::Error::Code>(why.code));
  to.set_message(why.message);
  to.set_mend(why.mend);
}

error invalid(std::string message, std::string mend = {}) {
  return {error_code::invalid_argument, std::move(message), std::move(mend)};
}

std::uint64_t between(time_point_us from, time_point_us to) {
  return to > from ? static_cast<std::uint64_t>((to - from).count()) : 0;
}

template <class Ids>
std::optional<error> check_ids(const Ids& ids, std::string_view what, std::uint32_t vocabulary) {
  for (int i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || static_cast<std::uint32_t>(ids[i]) >= vocabulary)
      return invalid(std::string{what} + "[" + std::to_string(i) + "] is " +
                     std::to_string(ids[i]) + "; allowed are 0 to " +
                     std::to_string(vocabulary - 1));
  return std::nullopt;
}

std::optional<error> check_stops(const proto::StartSequence& start,
                                 const inference_settings& settings) {
  if (static_cast<std::uint32_t>(start.stop_size()) > settings.stops_max)
    return invalid(std::to_string(start.stop_size()) + " stop texts were given; at most " +
                   std::to_string(settings.stops_max) + " are allowed");
  for (const std::string& stop : start.stop())
    if (stop.empty() || stop.size() > settings.stop_bytes_max)
      return invalid("a stop text has " + std::to_string(stop.size()) +
                     " bytes; allowed are 1 to " + std::to_string(settings.stop_bytes_max));
  return std::nullopt;
}

}  // namespace

envelope_ptr refused(const proto::Envelope& request, const error& why) {
  return refuse(request, static_cast<proto::Error::Code>(why.code), why.message, why.mend);
}

envelope_ptr engine_loaded(const proto::Envelope& request, const engine_facts& facts) {
  auto message = std::make_shared<proto::Envelope>(reply_to(request));
  proto::EngineLoaded& loaded = *message->mutable_engine_loaded();
  loaded.set_model_digest(request.load_engine().model_digest());
  loaded.set_engine(facts.description.backend);
  loaded.set_numerics_class(facts.description.numerics_class);
  loaded.set_variant(facts.description.variant);
  loaded.set_weight_bytes(facts.description.weight_bytes);
  loaded.set_kv_bytes(facts.description.kv_bytes);
  loaded.set_context_tokens(facts.description.context_tokens_max);
  loaded.mutable_canary_ids()->Add(facts.canary_ids.begin(), facts.canary_ids.end());
  loaded.set_load_us(facts.load_us);
  return message;
}

envelope_ptr sequence_failed(const proto::Envelope& start, const error& why) {
  auto message = std::make_shared<proto::Envelope>(reply_to(start));
  proto::SequenceFailed& failed = *message->mutable_sequence_failed();
  failed.set_job_id(start.start_sequence().job_id());
  *failed.mutable_fence() = start.start_sequence().fence();
  fill(*failed.mutable_error(), why);
  return message;
}

envelope_ptr sequence_failed(const sequence& s, const error& why) {
  auto message = std::make_shared<proto::Envelope>(s.reply);
  proto::SequenceFailed& failed = *message->mutable_sequence_failed();
  failed.set_job_id(s.job_id);
  *failed.mutable_fence() = s.fence;
  fill(*failed.mutable_error(), why);
  return message;
}

envelope_ptr sequence_finished(const sequence& s, const sequence::outcome& how,
                               const kernels::engine_description& engine, time_point_us now) {
  auto message = std::make_shared<proto::Envelope>(s.reply);
  proto::SequenceFinished& finished = *message->mutable_sequence_finished();
  finished.set_job_id(s.job_id);
  *finished.mutable_fence() = s.fence;
  finished.set_reason(*how.finished);
  finished.set_answer_tokens(s.answer_size());
  finished.set_running_hash(s.running_hash);
  finished.set_text_tail(how.text_tail);
  const bool was_admitted = s.admitted >= s.arrived && !s.blocks.empty();
  const time_point_us admitted = was_admitted ? s.admitted : now;
  const time_point_us first = s.sampled_once ? s.first_token : now;
  finished.set_queue_us(between(s.arrived, admitted));
  finished.set_prefill_us(between(admitted, first));
  finished.set_decode_us(between(first, now));
  finished.set_engine(engine.backend);
  finished.set_numerics_class(engine.numerics_class);
  finished.set_variant(engine.variant);
  return message;
}

kernels::sampling_parameters parameters_of(const proto::SamplingParameters& sampling) {
  kernels::sampling_parameters parameters;
  parameters.temperature = sampling.temperature();
  parameters.top_k = sampling.top_k();
  parameters.top_p = sampling.top_p();
  parameters.min_p = sampling.min_p();
  parameters.repetition_penalty = sampling.repetition_penalty();
  parameters.presence_penalty = sampling.presence_penalty();
  parameters.frequency_penalty = sampling.frequency_penalty();
  parameters.seed = sampling.seed();
  return parameters;
}

std::optional<error> check_job(const proto::StartSequence& start,
                               const kernels::engine_description& engine,
                               const inference_settings& settings) {
  const auto prompt = static_cast<std::uint64_t>(start.prompt_ids_size());
  const auto forced = static_cast<std::uint64_t>(start.forced_ids_size());
  const std::uint64_t context =
      std::min<std::uint64_t>(engine.context_tokens_max, settings.sequence_tokens_max);
  if (prompt == 0) return invalid("the prompt has no tokens", "give at least one");
  if (prompt >= context)
    return invalid("the prompt has " + std::to_string(prompt) + " tokens; the context of " +
                       std::to_string(context) + " leaves no room for an answer",
                   "shorten the prompt");
  const std::uint64_t most = std::min<std::uint64_t>(context - prompt, start.tokens_max());
  if (forced > most)
    return invalid(std::to_string(forced) + " forced_ids were given where the answer has at most " +
                   std::to_string(most) + " tokens");
  if (blocks_for(prompt + most) > engine.kv_blocks)
    return error{error_code::resource_exhausted,
                 "the sequence needs " + std::to_string(blocks_for(prompt + most)) +
                     " KV blocks of 16 tokens; this engine has " + std::to_string(engine.kv_blocks),
                 "ask for fewer tokens, or raise the model's kv_bytes"};
  if (auto wrong = check_ids(start.prompt_ids(), "prompt_ids", engine.vocabulary_size))
    return wrong;
  if (auto wrong = check_ids(start.forced_ids(), "forced_ids", engine.vocabulary_size))
    return wrong;
  if (auto wrong = check_stops(start, settings)) return wrong;
  if (start.sampling().temperature() != 0 && !start.sampling().has_seed())
    return invalid("sampling.seed is missing where the temperature is not 0", "pin a seed");
  if (const status ok = kernels::check(parameters_of(start.sampling())); !ok) return ok.failure();
  return std::nullopt;
}

}  // namespace troupe
