#include "actors/inference/sequence_messages.hpp"

#include <algorithm>
#include <cmath>

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

std::uint64_t context_of(const kernels::engine_description& engine,
                         const inference_settings& settings) {
  return std::min<std::uint64_t>(engine.context_tokens_max, settings.sequence_tokens_max);
}

// The mean of the hidden rows, at unit length; all arithmetic in double, in order.
std::vector<float> embedding_of(const sequence& s) {
  double squares = 0;
  for (const double sum : s.pooled) squares += sum * sum;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;  // the count cancels out
  std::vector<float> out(s.pooled.size());
  for (std::size_t d = 0; d < out.size(); ++d) out[d] = static_cast<float>(s.pooled[d] * scale);
  return out;
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

envelope_ptr sequence_failed(const proto::Envelope& asked, const error& why) {
  const bool grant = asked.has_grant_sequence_credit();
  auto message = std::make_shared<proto::Envelope>(reply_to(asked));
  proto::SequenceFailed& failed = *message->mutable_sequence_failed();
  failed.set_job_id(grant ? asked.grant_sequence_credit().job_id()
                          : asked.start_sequence().job_id());
  *failed.mutable_fence() =
      grant ? asked.grant_sequence_credit().fence() : asked.start_sequence().fence();
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

envelope_ptr sequence_tokens(const sequence& s, const std::string& text,
                             const kernels::sampled_token& token,
                             std::span<const kernels::sampled_token> alternatives) {
  auto message = std::make_shared<proto::Envelope>(s.reply);
  proto::SequenceTokens& tokens = *message->mutable_sequence_tokens();
  tokens.set_job_id(s.job_id);
  *tokens.mutable_fence() = s.fence;
  tokens.set_first_index(s.answer_size() - 1);
  tokens.add_ids(token.id);
  tokens.set_text(text);
  tokens.add_log_probabilities(token.log_probability);
  tokens.set_running_hash(s.running_hash);
  tokens.set_queue_us(between(s.arrived, s.admitted));
  const auto bytes_of = [&](kernels::token_id id) { return std::string(s.bytes_of(id)); };
  if (s.token_bytes) tokens.add_token_bytes(bytes_of(token.id));
  if (s.alternatives > 0) {
    proto::TokenAlternatives& most_probable = *tokens.add_alternatives();
    for (const kernels::sampled_token& other : alternatives) {
      most_probable.add_ids(other.id);
      most_probable.add_log_probabilities(other.log_probability);
      if (s.token_bytes) most_probable.add_token_bytes(bytes_of(other.id));
    }
  }
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
  const time_point_us admitted = s.seat > 0 ? s.admitted : now;
  const time_point_us first = s.sampled_once ? s.first_token : now;
  finished.set_queue_us(between(s.arrived, admitted));
  finished.set_prefill_us(between(admitted, first));
  finished.set_decode_us(between(first, now));
  finished.set_engine(engine.backend);
  finished.set_numerics_class(engine.numerics_class);
  finished.set_variant(engine.variant);
  finished.set_prefix_tokens(s.prefix_tokens);
  finished.set_batches(s.batches);
  if (s.batches > 0)
    finished.set_batch_mean(static_cast<float>(s.batch_mates) / static_cast<float>(s.batches));
  if (s.embed && *how.finished == proto::LENGTH)
    for (const float value : embedding_of(s)) finished.add_embedding(value);
  if (s.score && *how.finished == proto::LENGTH)
    finished.mutable_prompt_log_probabilities()->Add(s.log_probabilities.begin(),
                                                     s.log_probabilities.end());
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
  for (const proto::LogitBias& bias : sampling.logit_bias())
    parameters.logit_bias.push_back({bias.id(), bias.bias()});
  return parameters;
}

std::uint32_t answer_room(const proto::StartSequence& start,
                          const kernels::engine_description& engine,
                          const inference_settings& settings) {
  if (start.embed() || start.score()) return 0;
  const std::uint64_t room =
      context_of(engine, settings) - static_cast<std::uint64_t>(start.prompt_ids_size());
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(room, start.tokens_max()));
}

std::optional<error> check_job(const proto::StartSequence& start,
                               const kernels::engine_description& engine,
                               const inference_settings& settings) {
  const auto prompt = static_cast<std::uint64_t>(start.prompt_ids_size());
  const auto forced = static_cast<std::uint64_t>(start.forced_ids_size());
  const std::uint64_t context = context_of(engine, settings);
  const bool reads = start.embed() || start.score();
  if (prompt == 0) return invalid("the prompt has no tokens", "give at least one");
  if (start.embed() && start.score())
    return invalid("embed and score are both asked for", "ask for one of them");
  if (reads ? prompt > context : prompt >= context)
    return invalid("the prompt has " + std::to_string(prompt) + " tokens; the context of " +
                       std::to_string(context) +
                       (reads ? " is shorter" : " leaves no room for an answer"),
                   "shorten the prompt");
  const std::uint64_t most = answer_room(start, engine, settings);
  if (forced > most)
    return invalid(std::to_string(forced) + " forced_ids were given where the answer has at most " +
                   std::to_string(most) + " tokens");
  if (kernels::blocks_for(prompt + most) > engine.kv_blocks)
    return error{error_code::resource_exhausted,
                 "the sequence needs " + std::to_string(kernels::blocks_for(prompt + most)) +
                     " KV blocks of 16 tokens; this engine has " + std::to_string(engine.kv_blocks),
                 "ask for fewer tokens, or raise the model's kv_bytes"};
  if (start.alternatives() > settings.alternatives_max)
    return invalid(std::to_string(start.alternatives()) + " alternatives were asked for; at most " +
                   std::to_string(settings.alternatives_max) + " are allowed");
  if (start.sampling().has_constraint() && start.ignore_end())
    return invalid("ignore_end and sampling.constraint contradict each other",
                   "an answer that is constrained ends where it is whole");
  if (auto wrong = check_ids(start.prompt_ids(), "prompt_ids", engine.vocabulary_size))
    return wrong;
  if (auto wrong = check_ids(start.forced_ids(), "forced_ids", engine.vocabulary_size))
    return wrong;
  for (const proto::LogitBias& bias : start.sampling().logit_bias())
    if (bias.id() < 0 || static_cast<std::uint32_t>(bias.id()) >= engine.vocabulary_size)
      return invalid("sampling.logit_bias names token " + std::to_string(bias.id()) +
                     "; allowed are 0 to " + std::to_string(engine.vocabulary_size - 1));
  if (auto wrong = check_stops(start, settings)) return wrong;
  if (start.sampling().temperature() != 0 && !start.sampling().has_seed())
    return invalid("sampling.seed is missing where the temperature is not 0", "pin a seed");
  if (const status ok = kernels::check(parameters_of(start.sampling())); !ok) return ok.failure();
  return std::nullopt;
}

}  // namespace troupe
