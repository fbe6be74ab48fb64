#include "cluster/gateway/job_checks.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "actors/running_hash.hpp"
#include "cluster/client/utf8_text.hpp"

namespace troupe::cluster {
namespace {

error invalid(std::string message, std::string mend = {}) {
  return {error_code::invalid_argument, std::move(message), std::move(mend)};
}

std::string shown(float value) {
  char text[48];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
  return text;
}

// One row for each real-valued parameter; above: the minimum itself is refused.
struct range_row {
  const char* name;
  float (proto::SamplingParameters::*read)() const;
  float minimum, maximum;
  bool above;
  const char* allowed;
};

constexpr range_row ranges[] = {
    {"temperature", &proto::SamplingParameters::temperature, 0, 100, false,
     "0 to 100, 0 is greedy"},
    {"top_p", &proto::SamplingParameters::top_p, 0, 1, true, "above 0, at most 1, 1 is off"},
    {"min_p", &proto::SamplingParameters::min_p, 0, 1, false, "0 to 1, 0 is off"},
    {"repetition_penalty", &proto::SamplingParameters::repetition_penalty, 0, 10, true,
     "above 0, at most 10, 1 is off"},
    {"presence_penalty", &proto::SamplingParameters::presence_penalty, -10, 10, false,
     "-10 to 10, 0 is off"},
    {"frequency_penalty", &proto::SamplingParameters::frequency_penalty, -10, 10, false,
     "-10 to 10, 0 is off"},
};

status check_logit_bias(const proto::SamplingParameters& sampling, const job_bounds& bounds) {
  if (static_cast<std::uint32_t>(sampling.logit_bias_size()) > bounds.logit_bias_ids_max)
    return invalid("logit_bias names " + std::to_string(sampling.logit_bias_size()) + " tokens",
                   "at most " + std::to_string(bounds.logit_bias_ids_max) + " are allowed");
  std::set<std::int32_t> seen;
  for (const proto::LogitBias& one : sampling.logit_bias()) {
    const std::string what = "the logit_bias of token " + std::to_string(one.id());
    if (one.id() < 0) return invalid(what + " has no token", "ids begin at 0");
    if (!seen.insert(one.id()).second) return invalid(what + " is given twice", "give it once");
    if (!(std::fabs(one.bias()) <= bounds.logit_bias_max))  // NaN too
      return invalid(
          what + " is " + shown(one.bias()),
          "allowed: -" + shown(bounds.logit_bias_max) + " to " + shown(bounds.logit_bias_max));
  }
  return {};
}

status check_constraint(const proto::AnswerConstraint& constraint, const job_bounds& bounds) {
  if (constraint.has_json_object() && constraint.json_object()) return {};
  if (constraint.json_schema().empty())
    return invalid("the constraint on the answer has no form", "give json_object or json_schema");
  if (constraint.json_schema().size() > bounds.schema_bytes_max)
    return invalid(
        "the JSON schema has " + std::to_string(constraint.json_schema().size()) + " bytes",
        "at most " + std::to_string(bounds.schema_bytes_max) + " are allowed");
  if (auto at = utf8_fault(constraint.json_schema()))
    return invalid("the JSON schema is not UTF-8: the fault is at byte " + std::to_string(*at));
  return {};
}

status check_sampling(const proto::SamplingParameters& sampling, const job_bounds& bounds) {
  for (const range_row& row : ranges) {
    const float value = (sampling.*row.read)();
    const bool high_enough = row.above ? value > row.minimum : value >= row.minimum;
    if (!std::isfinite(value) || !high_enough || value > row.maximum)
      return invalid(std::string(row.name) + " is " + shown(value),
                     std::string("allowed: ") + row.allowed);
  }
  if (status bias = check_logit_bias(sampling, bounds); !bias) return bias;
  if (sampling.has_constraint()) return check_constraint(sampling.constraint(), bounds);
  return {};
}

status check_stop(const proto::JobSpecification& job, const job_bounds& bounds) {
  if (static_cast<std::uint32_t>(job.stop_size()) > bounds.stop_texts_max)
    return invalid(std::to_string(job.stop_size()) + " stop texts",
                   "at most " + std::to_string(bounds.stop_texts_max) + " are allowed");
  for (const std::string& text : job.stop()) {
    if (text.empty() || text.size() > bounds.stop_bytes_max)
      return invalid("a stop text has " + std::to_string(text.size()) + " bytes",
                     "allowed: 1 to " + std::to_string(bounds.stop_bytes_max));
    if (auto at = utf8_fault(text))
      return invalid("a stop text is not UTF-8: the fault is at byte " + std::to_string(*at));
  }
  return {};
}

status check_chat(const proto::ChatPrompt& chat, const job_bounds& bounds) {
  const auto bytes = static_cast<std::uint64_t>(chat.messages_json().size()) +
                     chat.tools_json().size() + chat.variables_json().size();
  if (bytes > bounds.prompt_bytes_max)
    return invalid("the chat prompt has " + std::to_string(bytes) + " bytes",
                   "at most " + std::to_string(bounds.prompt_bytes_max) +
                       " are allowed (gateway.prompt_bytes_max)");
  if (chat.messages_json().empty())
    return invalid("the chat prompt has no messages", "give an array of messages");
  return {};
}

// Where there is no answer nothing may be said about one.
status check_reading(const proto::JobSpecification& job) {
  if (job.embed() && job.score())
    return invalid("embed and score are both asked for", "submit a job for each");
  const char* said = job.stop_size() > 0                    ? "stop texts"
                     : job.alternatives() > 0               ? "alternatives"
                     : job.token_bytes()                    ? "token_bytes"
                     : job.sampling().has_constraint()      ? "a constraint"
                     : job.sampling().logit_bias_size() > 0 ? "logit_bias"
                                                            : nullptr;
  if (said)
    return invalid(std::string(job.embed() ? "a job for an embedding" : "a job for a score") +
                       " has no answer, and gives " + said,
                   "leave that out");
  return {};
}

status check_prompt(const proto::JobSpecification& job, const job_bounds& bounds) {
  if (job.prompt_case() == proto::JobSpecification::PROMPT_NOT_SET)
    return invalid("the job has no prompt", "give text, token ids or a chat");
  if (job.has_token_ids()) {
    const auto bytes = static_cast<std::uint64_t>(job.token_ids().ids_size()) * 4;
    if (bytes == 0) return invalid("the prompt has no tokens", "give at least one token id");
    if (bytes > bounds.prompt_bytes_max)
      return invalid("the prompt has " + std::to_string(bytes) + " bytes of token ids",
                     "at most " + std::to_string(bounds.prompt_bytes_max) +
                         " are allowed (gateway.prompt_bytes_max)");
    return {};
  }
  if (job.has_chat()) return check_chat(job.chat(), bounds);
  if (job.text().size() > bounds.prompt_bytes_max)
    return invalid("the prompt has " + std::to_string(job.text().size()) + " bytes",
                   "at most " + std::to_string(bounds.prompt_bytes_max) +
                       " are allowed (gateway.prompt_bytes_max)");
  if (auto at = utf8_fault(job.text()))
    return invalid("the prompt is not UTF-8: the fault is at byte " + std::to_string(*at));
  return {};
}

// What a client that resumes holds: one piece from token 0 to from_index, under the hashes that it
// claims.
status check_held(const proto::SubmitJob& submission) {
  if (submission.held().empty()) return {};
  const auto corrupt = [](std::string message) -> status {
    return error{error_code::data_corrupt, "prefix_lost: " + std::move(message),
                 "hand back the tokens as they came, or submit a new job"};
  };
  if (!submission.has_pinned() || submission.pinned().job_id() != submission.job_id())
    return corrupt("tokens are held without the JobAccepted that they came under");
  std::uint64_t next = 0, hash = running_hash_start;
  for (const proto::JobTokens& frame : submission.held()) {
    if (frame.ids().empty() || frame.first_index() != next)
      return corrupt("held tokens go on at index " + std::to_string(frame.first_index()) +
                     " where " + std::to_string(next) + " is due");
    next += static_cast<std::uint64_t>(frame.ids_size());
    hash = running_hash_of(frame.ids(), hash);
    if (hash != frame.running_hash())
      return corrupt("the running hash of the held tokens does not hold before index " +
                     std::to_string(next));
  }
  if (next != submission.from_index())
    return corrupt(std::to_string(next) + " tokens are held, the stream is asked from " +
                   std::to_string(submission.from_index()));
  return {};
}

}  // namespace

bool answers(const proto::JobSpecification& job) {
  return !job.embed() && !job.score();
}

status check_submission(const proto::SubmitJob& submission, const job_bounds& bounds) {
  if (submission.job_id().size() != 16)
    return invalid("the job id has " + std::to_string(submission.job_id().size()) + " bytes",
                   "a UUID has 16");
  const proto::JobSpecification& job = submission.job();
  if (job.model().empty()) return invalid("the job names no model", "give a name or a digest");
  if (job.model().size() > 256 || utf8_fault(job.model()))
    return invalid("the model's name is not a name", "UTF-8 of at most 256 bytes is");
  if (status prompt = check_prompt(job, bounds); !prompt) return prompt;
  if ((job.tokens_max() == 0 && answers(job)) || job.tokens_max() > bounds.tokens_max)
    return invalid("tokens_max is " + std::to_string(job.tokens_max()),
                   "allowed: 1 to " + std::to_string(bounds.tokens_max) + " (gateway.tokens_max)");
  if (status sampling = check_sampling(job.sampling(), bounds); !sampling) return sampling;
  if (status stop = check_stop(job, bounds); !stop) return stop;
  if (job.alternatives() > bounds.alternatives_max)
    return invalid("alternatives is " + std::to_string(job.alternatives()),
                   "allowed: 0 to " + std::to_string(bounds.alternatives_max));
  if (status reading = answers(job) ? status() : check_reading(job); !reading) return reading;
  const std::uint32_t most = answers(job) ? job.tokens_max() : 0;
  if (submission.from_index() > most)
    return invalid("the stream is asked from token " + std::to_string(submission.from_index()),
                   "the job has at most " + std::to_string(most));
  if (status held = check_held(submission); !held) return held;
  if (submission.tenant().size() > bounds.tenant_bytes_max || utf8_fault(submission.tenant()))
    return invalid("the tenant's name is not a name",
                   "UTF-8 of at most " + std::to_string(bounds.tenant_bytes_max) + " bytes is");
  if (!proto::JobPriority_IsValid(submission.priority()))
    return invalid("priority is " + std::to_string(submission.priority()),
                   "allowed: 0 normal, 1 background, 2 urgent");
  return {};
}

status check_pinned(const proto::SubmitJob& submission, const proto::JobAccepted& pinned) {
  if (!submission.has_pinned()) return {};
  const proto::JobAccepted& before = submission.pinned();
  const char* other =
      before.model_digest() != pinned.model_digest()           ? "model"
      : before.tokenizer_digest() != pinned.tokenizer_digest() ? "tokenizer"
      : before.prompt_hash() != pinned.prompt_hash()           ? "prompt"
      : before.tokens_max() != pinned.tokens_max()             ? "number of tokens"
      : before.sampling().SerializeAsString() != pinned.sampling().SerializeAsString() ? "sampling"
                                                                                       : nullptr;
  if (!other) return {};
  return error{error_code::data_corrupt,
               std::string("prefix_lost: the job was begun with another ") + other +
                   " than it would have here",
               "resume where its model is the same file, or submit a new job"};
}

status check_prompt_tokens(const google::protobuf::RepeatedField<std::int32_t>& ids,
                           std::uint32_t context_tokens, std::uint32_t vocabulary_size) {
  if (ids.empty()) return invalid("the prompt gives no tokens", "give at least one character");
  if (static_cast<std::uint64_t>(ids.size()) >= context_tokens)
    return invalid("the prompt has " + std::to_string(ids.size()) + " tokens",
                   "the model's context of " + std::to_string(context_tokens) +
                       " tokens must hold the prompt and at least one more");
  for (int i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || static_cast<std::uint32_t>(ids[i]) >= vocabulary_size)
      return invalid("prompt token " + std::to_string(i) + " is " + std::to_string(ids[i]),
                     "the model's ids are 0 to " + std::to_string(vocabulary_size - 1));
  return {};
}

status check_bias_ids(const proto::SamplingParameters& sampling, std::uint32_t vocabulary_size) {
  for (const proto::LogitBias& one : sampling.logit_bias())
    if (static_cast<std::uint32_t>(one.id()) >= vocabulary_size)
      return invalid("logit_bias names token " + std::to_string(one.id()),
                     "the model's ids are 0 to " + std::to_string(vocabulary_size - 1));
  return {};
}

proto::SamplingParameters pinned_sampling(const proto::SamplingParameters& asked,
                                          std::uint64_t seed) {
  proto::SamplingParameters pinned = asked;
  if (!pinned.has_seed()) pinned.set_seed(seed);
  if (pinned.temperature() == 0) {  // greedy draws nothing; also turns -0 into 0
    pinned.set_temperature(0);
    pinned.set_seed(0);
    pinned.set_top_k(0);
    pinned.set_top_p(1);
    pinned.set_min_p(0);
  }
  if (pinned.min_p() == 0) pinned.set_min_p(0);
  if (pinned.presence_penalty() == 0) pinned.set_presence_penalty(0);
  if (pinned.frequency_penalty() == 0) pinned.set_frequency_penalty(0);
  auto& biases = *pinned.mutable_logit_bias();
  biases.erase(std::remove_if(biases.begin(), biases.end(),
                              [](const proto::LogitBias& one) { return one.bias() == 0; }),
               biases.end());
  std::sort(biases.begin(), biases.end(),
            [](const proto::LogitBias& a, const proto::LogitBias& b) { return a.id() < b.id(); });
  return pinned;
}

std::string fingerprint_of(const proto::JobSpecification& job) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    job.SerializeToCodedStream(&coded);
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string shown_id(const std::string& job_id) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < job_id.size() && i < 64; ++i) {
    if (job_id.size() == 16 && (i == 4 || i == 6 || i == 8 || i == 10)) out += '-';
    const auto byte = static_cast<unsigned char>(job_id[i]);
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace troupe::cluster
