// libtroupe: submit jobs to a troupe cluster and read their answers.
//
// A client talks to one gateway node at a time. Errors are values. Threading: a client may be used
// from several threads; a job's stream is read by one thread at a time. Everything has a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::client {

struct sampling {
  float temperature = 0;  // 0: greedy
  std::uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::optional<std::uint64_t> seed;  // absent: the gateway draws one and reports it
};

struct job {
  std::string id;      // 36 characters, UUID; empty: the client makes one (UUIDv7)
  std::string model;   // a name or a digest
  std::string prompt;  // UTF-8
  std::vector<std::int32_t> prompt_ids;  // instead of prompt, when not empty
  client::sampling sampling;
  std::uint32_t tokens_max = 128;
  std::vector<std::string> stop;
  bool parse_special = false;
  bool ignore_end = false;
  bool cache_bypass = false;
};

enum class finish_reason { end_of_text, stop_text, length, cancelled, failed };
enum class answer_source { computed, local_cache, shared_cache };

struct token {
  std::int32_t id = 0;
  std::uint32_t index = 0;
  std::string text;  // what it adds to the text; may be empty while a character or a stop text is
                     // incomplete
  float log_probability = 0;
};

// How a job was served. Times in microseconds; first_token from acceptance at the gateway.
struct report {
  finish_reason reason = finish_reason::failed;
  std::optional<error> failure;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t answer_tokens = 0;
  std::string text_tail;  // text that waited for more tokens, to be added to the answer
  std::string job_id;
  std::string model_name, model_digest;
  std::string gateway_node, worker_node;
  std::string engine, numerics_class, variant;
  answer_source source = answer_source::computed;
  std::uint64_t seed = 0;
  std::uint32_t attempts = 0;
  std::uint64_t queue_us = 0, prefill_us = 0, decode_us = 0, first_token_us = 0, total_us = 0;
};

// The stream of one job.
class stream {
 public:
  virtual ~stream() = default;  // cancels the job if it has not ended
  // The next token; nullopt when the answer has ended (then report() tells how); an error when it
  // failed or the deadline passed.
  virtual result<std::optional<token>> next(std::chrono::milliseconds wait_max) = 0;
  virtual const report& summary() const = 0;
  virtual void cancel() = 0;
};

struct connect_options {
  std::chrono::milliseconds wait_max{5000};
};

class cluster {
 public:
  // at: "HOST:PORT" of any node.
  static result<std::unique_ptr<cluster>> connect(std::string_view at,
                                                  connect_options options = {});
  virtual ~cluster() = default;
  virtual result<std::unique_ptr<stream>> submit(const job& request) = 0;
  virtual status cancel(std::string_view job_id) = 0;
  // Every node that the gateway knows, as JSON (the same document that `troupe status --json`
  // prints).
  virtual result<std::string> status_json(std::chrono::milliseconds wait_max) = 0;
};

}  // namespace troupe::client
