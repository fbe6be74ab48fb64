#include "actors/inference/sequence.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

namespace {

int order_of(proto::JobPriority priority) {
  switch (priority) {
    case proto::PRIORITY_URGENT:
      return 0;
    case proto::PRIORITY_BACKGROUND:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

std::string sequence_key(const std::string& gateway_node, const std::string& job_id) {
  return gateway_node + '\n' + job_id;
}

sequence::sequence(const proto::Envelope& envelope, const proto::StartSequence& start,
                   kernels::sampling_parameters parameters, std::uint32_t most,
                   std::shared_ptr<const kernels::tokenizer> words, time_point_us now)
    : reply(reply_to(envelope)),
      key(sequence_key(envelope.sender().node(), start.job_id())),
      job_id(start.job_id()),
      digest(start.model_digest()),
      gateway_node(envelope.sender().node()),
      fence(start.fence()),
      tokens(start.prompt_ids().begin(), start.prompt_ids().end()),
      prompt_size(static_cast<std::uint32_t>(start.prompt_ids_size())),
      tenant(start.tenant()),
      priority(order_of(start.priority())),
      alternatives(start.alternatives()),
      token_bytes(start.token_bytes()),
      embed(start.embed()),
      score(start.score()),
      sampling(std::move(parameters)),
      tokens_max(most),
      credit(start.credit_tokens()),
      arrived(now),
      no_credit_since(now),
      words_(std::move(words)),
      text_(words_),
      stops_({start.stop().begin(), start.stop().end()}),
      forced_(start.forced_ids().begin(), start.forced_ids().end()),
      ignore_end_(start.ignore_end()) {
  if (envelope.deadline_ms() > 0) expires = now + std::chrono::milliseconds{envelope.deadline_ms()};
}

result<sequence::outcome> sequence::replay_forced() {
  outcome last;
  const std::vector<kernels::token_id> forced = std::exchange(forced_, {});
  if (forced.empty() && tokens_max == 0 && answers()) return end(proto::LENGTH);
  for (const kernels::token_id id : forced) {
    if (last.finished)
      return error{error_code::invalid_argument,
                   "forced_ids go on past the end of the answer: the answer ends after " +
                       std::to_string(answer_size()) + " tokens, but " +
                       std::to_string(forced.size()) + " were given",
                   "start the job again without forced_ids"};
    if (matcher_ && !kernels::json_matcher(*matcher_).accept(words_->piece(id)))
      return error{
          error_code::invalid_argument,
          "forced_ids leave what the constraint allows, at token " + std::to_string(answer_size()),
          "start the job again without forced_ids"};
    last = take(id);
  }
  last.sends = false;
  return last;
}

sequence::outcome sequence::accept(kernels::token_id id) {
  const auto ends = words_->end_tokens();
  if (!ignore_end_ && std::find(ends.begin(), ends.end(), id) != ends.end())
    return end(proto::END_OF_TEXT);
  return take(id);
}

sequence::outcome sequence::take(kernels::token_id id) {
  tokens.push_back(id);
  running_hash = running_hash_next(running_hash, id);
  outcome now;
  now.sends = true;
  now.text = stops_.push(text_.push(id));
  if (matcher_) matcher_->accept(words_->piece(id));
  const bool whole = matcher_ && matcher_->must_end();
  if (stops_.stopped()) {
    now.finished = proto::STOP_TEXT;
  } else if (whole || answer_size() >= tokens_max) {
    outcome tail = end(whole ? proto::END_OF_TEXT : proto::LENGTH);
    now.finished = tail.finished;
    now.text_tail = std::move(tail.text_tail);
  }
  return now;
}

sequence::outcome sequence::end(proto::FinishReason reason) {
  outcome now;
  now.finished = reason;
  now.text_tail = stops_.push(text_.finish());
  if (!stops_.stopped()) now.text_tail += stops_.flush();
  return now;
}

std::uint32_t sequence::best_wanted(std::uint32_t vocabulary) const {
  const std::uint32_t drawn = matcher_ ? 0 : kernels::best_needed(sampling, vocabulary);
  const std::uint32_t told = std::max(drawn, alternatives);
  return drawn > 0 && told <= kernels::best_logits_max ? told : 0;
}

}  // namespace troupe
