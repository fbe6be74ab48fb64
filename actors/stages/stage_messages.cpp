#include "actors/stages/stage_messages.hpp"

#include <bit>
#include <cstring>

namespace troupe {
namespace {

static_assert(std::endian::native == std::endian::little, "rows travel as they lie in memory");

std::string bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// False: no whole numbers.
bool read(const std::string& bytes, std::vector<float>& values) {
  if (bytes.size() % sizeof(float) != 0) return false;
  values.resize(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return true;
}

error broken(const char* what) {
  return {error_code::invalid_argument, std::string(what) + " have no whole numbers",
          "both nodes need the same version"};
}

}  // namespace

proto::StepStage step_message(const std::string& stage,
                              std::span<const kernels::sequence_step> batch,
                              std::span<const float> stream) {
  proto::StepStage out;
  out.set_stage(stage);
  for (const kernels::sequence_step& step : batch) {
    proto::StageSequence& to = *out.add_sequences();
    to.set_tokens(static_cast<std::uint32_t>(step.tokens.size()));
    to.set_position(step.position);
    const std::uint64_t used = std::min<std::uint64_t>(
        step.blocks.size(), kernels::blocks_for(step.position + step.tokens.size()));
    to.mutable_blocks()->Add(step.blocks.begin(),
                             step.blocks.begin() + static_cast<std::ptrdiff_t>(used));
    to.set_all_logits(step.all_logits);
    to.set_no_logits(step.no_logits);
    to.set_hidden(step.hidden);
    to.set_best(step.best);
  }
  out.set_stream(bytes_of(stream));
  return out;
}

result<received_step> step_of(const proto::StepStage& message, std::uint32_t tokens_max) {
  std::uint64_t tokens = 0;
  for (const proto::StageSequence& one : message.sequences()) tokens += one.tokens();
  if (tokens > tokens_max)
    return error{error_code::invalid_argument,
                 "a step of " + std::to_string(tokens) + " tokens; the stage was opened for " +
                     std::to_string(tokens_max),
                 "open it for as many as the head computes at once"};
  received_step out;
  if (!read(message.stream(), out.stream)) return broken("a step's rows");
  out.tokens.assign(tokens, 0);
  std::span<const kernels::token_id> rest = out.tokens;
  out.blocks.reserve(static_cast<std::size_t>(message.sequences_size()));
  for (const proto::StageSequence& one : message.sequences()) {
    out.blocks.emplace_back(one.blocks().begin(), one.blocks().end());
    out.batch.push_back({.tokens = rest.first(one.tokens()),
                         .position = one.position(),
                         .blocks = out.blocks.back(),
                         .all_logits = one.all_logits(),
                         .no_logits = one.no_logits(),
                         .hidden = one.hidden(),
                         .best = one.best()});
    rest = rest.subspan(one.tokens());
  }
  return out;
}

proto::StageStepped stepped_message(const std::string& stage, const kernels::stage_output& out) {
  proto::StageStepped message;
  message.set_stage(stage);
  message.set_stream(bytes_of(out.stream));
  message.set_logits(bytes_of(out.logits.values));
  message.set_rows(out.logits.rows);
  message.set_hidden(bytes_of(out.logits.hidden));
  for (const kernels::best_logits& best : out.logits.best) {
    proto::StageBest& to = *message.add_best();
    for (const kernels::token_logit& one : best.tokens) {
      to.add_ids(one.id);
      to.add_logits(one.logit);
    }
    to.set_exponential_sum(best.exponential_sum);
  }
  return message;
}

result<received_output> output_of(const proto::StageStepped& message) {
  received_output out;
  if (!read(message.stream(), out.stream) || !read(message.logits(), out.logits) ||
      !read(message.hidden(), out.hidden))
    return broken("a stage's rows");
  out.rows = message.rows();
  for (const proto::StageBest& from : message.best()) {
    if (from.ids_size() != from.logits_size()) return broken("a stage's best logits");
    kernels::best_logits& best = out.best.emplace_back();
    for (int i = 0; i < from.ids_size(); ++i) best.tokens.push_back({from.ids(i), from.logits(i)});
    best.exponential_sum = from.exponential_sum();
  }
  return out;
}

}  // namespace troupe
