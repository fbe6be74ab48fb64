// What one HTTP request asks of the cluster: jobs to submit, and how their answers are to be told.
//
// Answer i of the reply belongs to job i; with several prompts and choices, job
// prompt * choices + choice. The jobs carry no id, tenant or credit yet: whoever submits gives
// them. Seeds of choices: choice_seed(). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cluster/http/api_error.hpp"
#include "proto/job.pb.h"

namespace troupe::http {

enum class reply_kind { completion, chat, embedding, ollama_generate, ollama_chat };

struct reply_plan {
  reply_kind kind = reply_kind::completion;
  std::string model;  // as it was asked for
  bool streams = false;
  bool usage_in_stream = false;
  std::uint32_t choices = 1;
  bool log_probabilities = false;
  bool base64 = false;  // of embeddings
};

struct asked_work {
  reply_plan plan;
  std::string user;  // the request's own word on whose it is
  std::vector<proto::SubmitJob> jobs;
};

struct request_limits {
  std::uint32_t tokens_max = 65536;  // of one job, and what a chat without a limit gets
  std::uint32_t choices_max = 16;
  std::uint32_t jobs_max = 128;  // of one request: prompts times choices
  std::uint32_t messages_max = 4096;
  std::uint32_t biases_max = 1024;
};

using work_or_error = std::variant<asked_work, api_error>;

// Choice 0 has the request's seed; choice i has the finaliser of splitmix64 applied to
// seed + i * 0x9e3779b97f4a7c15, modulo 2^64.
std::uint64_t choice_seed(std::uint64_t seed, std::uint32_t choice);

}  // namespace troupe::http
