// What a SubmitJob must be before the gateway takes it, and the pinned form that its parameters
// get.
//
// Every refusal names the value that was found and what is allowed. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "config/outcome.hpp"
#include "proto/envelope.pb.h"

namespace troupe::cluster {

struct job_bounds {
  std::uint64_t prompt_bytes_max = 1u << 20;
  std::uint32_t tokens_max = 65536;  // most that one job may ask for
  std::uint32_t stop_texts_max = 16;
  std::uint32_t stop_bytes_max = 256;
  std::uint32_t alternatives_max = 20;
  std::uint32_t logit_bias_ids_max = 1024;
  float logit_bias_max = 100;  // either way
  std::uint64_t schema_bytes_max = 64u << 10;
  std::uint32_t tenant_bytes_max = 128;
};

// False: the job reads its prompt (an embedding, a score), and has no answer.
bool answers(const proto::JobSpecification& job);

status check_submission(const proto::SubmitJob& submission, const job_bounds& bounds);

// What a client that resumes brings, against what this gateway pinned: the same job, bit for bit.
// data_corrupt where it is another; nothing to check where it brings nothing.
status check_pinned(const proto::SubmitJob& submission, const proto::JobAccepted& pinned);

// The prompt against the model that will answer it. `ids` are the prompt's tokens.
status check_prompt_tokens(const google::protobuf::RepeatedField<std::int32_t>& ids,
                           std::uint32_t context_tokens, std::uint32_t vocabulary_size);
status check_bias_ids(const proto::SamplingParameters& sampling, std::uint32_t vocabulary_size);

// Off-switches in one form each and biases in rising id, so that equal meanings have equal cache
// keys; the seed as given or, where absent, `seed`.
proto::SamplingParameters pinned_sampling(const proto::SamplingParameters& asked,
                                          std::uint64_t seed);

// SHA-256 of the specification's deterministic serialisation: what makes two submissions the same
// job.
std::string fingerprint_of(const proto::JobSpecification& job);

// "0198c6f2-…" for logs and messages; the hexadecimal bytes where it is no UUID.
std::string shown_id(const std::string& job_id);

}  // namespace troupe::cluster
