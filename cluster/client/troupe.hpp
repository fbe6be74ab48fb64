// libtroupe: submit jobs to a troupe cluster and read their answers.
//
// A client talks to one gateway node at a time. When that is gone, streams go on by themselves at
// the same one, once it is back, or at another that was named: no token is lost, repeated or
// changed. Errors are values. Threading: a client may be used
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

struct token_bias {
  std::int32_t id = 0;
  float bias = 0;  // added to the token's raw logit; -100 to 100
};

struct sampling {
  float temperature = 0;  // 0: greedy
  std::uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::optional<std::uint64_t> seed;  // absent: the gateway draws one and reports it
  std::vector<token_bias> logit_bias;
};

struct chat_message {
  std::string role;  // as the model's template knows them: "system", "user", "assistant"
  std::string content;
};

// A conversation, which the model's own chat template turns into a prompt.
struct conversation {
  std::vector<chat_message> messages;
  std::string messages_json;   // instead of messages, where they carry more: an array of objects
  std::string tools_json;      // an array, or empty
  std::string variables_json;  // an object with further variables of the template, or empty
};

// Order among jobs that wait for the same device.
enum class job_priority { normal, background, urgent };

struct job {
  std::string id;      // 36 characters, UUID; empty: the client makes one (UUIDv7)
  std::string model;   // a name or a digest
  std::string prompt;  // UTF-8
  std::vector<std::int32_t> prompt_ids;  // instead of prompt, when not empty
  std::optional<conversation> chat;      // instead of both
  client::sampling sampling;
  std::uint32_t tokens_max = 128;
  std::vector<std::string> stop;
  bool parse_special = false;
  bool ignore_end = false;
  bool cache_bypass = false;
  bool json_object = false;        // the answer is one JSON object
  std::string json_schema;         // the answer is JSON of this schema; empty: it is not asked for
  std::uint32_t alternatives = 0;  // most probable tokens to tell beside each one; at most 20
  bool embed = false;              // no answer: the report has the prompt's embedding
  bool score = false;              // no answer: the report has the prompt's log-probabilities
  std::string tenant;              // whose share it counts to; empty: this session's
  job_priority priority = job_priority::normal;
};

enum class finish_reason { end_of_text, stop_text, length, cancelled, failed };
enum class answer_source { computed, local_cache, shared_cache };

struct token_score {
  std::int32_t id = 0;
  float log_probability = 0;
};

struct token {
  std::int32_t id = 0;
  std::uint32_t index = 0;
  std::string text;  // what it adds to the text; may be empty while a character or a stop text is
                     // incomplete
  float log_probability = 0;
  std::vector<token_score> alternatives;  // best first, where the job asks for them
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
  std::uint32_t attempts = 0;       // at the gateway that finished it
  std::uint32_t resumed = 0;        // times that the stream lost its gateway and went on
  bool class_changed = false;       // parts of the answer come from different numerics classes
  std::uint32_t prefix_tokens = 0;  // of the prompt, that the worker had computed before
  std::vector<float> embedding;     // of a job with embed: unit length
  std::vector<float> prompt_log_probabilities;  // of a job with score: of the prompt's tokens from
                                                // the second on, given those before
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

// What came of a release: KV blocks of 16 tokens, over all nodes that hold the model.
struct released {
  std::uint32_t blocks_freed = 0;
  std::uint32_t blocks_kept = 0;          // in use, or shared with another text
  std::vector<std::string> nodes_silent;  // that did not answer in time
};

struct connect_options {
  std::chrono::milliseconds wait_max{5000};
  // How long a stream waits for a gateway to go on at, and a submission, where several addresses
  // are known, for one that takes it; 0: both fail with their gateway.
  std::chrono::milliseconds resume_wait{30'000};
  // For nodes whose links are encrypted: this side's key pair (`troupe keys make`). Empty: no keys.
  std::string key_file = {};
  // Where the nodes' public keys are listed by address; empty: "allowed" beside key_file.
  std::string allow_file = {};
  // Or the public key of the node at every address that is given, 64 hexadecimal digits.
  std::string server_key = {};
};

class cluster {
 public:
  // at: "HOST:PORT" of any node, or several with commas between; the first that answers is used,
  // the others stand by. With keys: not_found where a key or its file is missing, permission_denied
  // where it may be read by others. Whoever wants keys and got none, or does not list ours, is
  // unavailable or permission_denied after wait_max, and the message says so.
  static result<std::unique_ptr<cluster>> connect(std::string_view at,
                                                  connect_options options = {});
  virtual ~cluster() = default;
  virtual result<std::unique_ptr<stream>> submit(const job& request) = 0;
  virtual status cancel(std::string_view job_id) = 0;
  // Frees the memory that a conversation takes on the nodes: the KV blocks of a job's prompt and
  // answer (while the gateway keeps the job), or of these tokens. It costs time where the text
  // comes again, and never an answer. Doing it twice is as doing it once.
  virtual result<released> release(std::string_view job_id) = 0;
  virtual result<released> release(std::string_view model,
                                   const std::vector<std::int32_t>& ids) = 0;
  // Ends a node in order: no new jobs at once, those that run may end within wait_max (zero: what
  // the node's settings say), then its process exits. Returns when it is gone; deadline_exceeded
  // where it is not. The node is this one, or is asked at the address that the status tells.
  virtual status drain(std::string_view node, std::chrono::milliseconds wait_max) = 0;
  // Every node that the gateway knows, as JSON (the same document that `troupe status --json`
  // prints).
  virtual result<std::string> status_json(std::chrono::milliseconds wait_max) = 0;
};

}  // namespace troupe::client
