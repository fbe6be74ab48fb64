// How the answers of one request are told: as one document, or as a stream of pieces as they come.
//
// The same calls make OpenAI's server-sent events and Ollama's lines of JSON. Text that is not
// UTF-8 (a model may say any bytes) is told with U+FFFD. Pure; one writer for each request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/http/asked_work.hpp"
#include "proto/job.pb.h"

namespace troupe::http {

// One answer, as far as it has come. `tokens` holds frames without text where the plan wants
// log-probabilities, else nothing.
struct answer_state {
  std::optional<proto::JobAccepted> accepted;
  std::string text;
  proto::JobTokens tokens;
  std::uint32_t token_count = 0;
  std::uint32_t attempt = 0;
  std::string worker_node;  // and who computes it, as far as its tokens have told
  std::uint64_t queue_us = 0;
  std::uint64_t running_hash = 0;
  std::optional<proto::JobFinished> finished;
};
using answer_states = std::vector<answer_state>;

struct reply_identity {
  std::string id;              // made from the first job's id
  std::int64_t created_s = 0;  // Unix time
};

class answer_writer {
 public:
  virtual ~answer_writer() = default;
  virtual const char* content_type() const = 0;
  // A document with every answer.
  virtual std::string whole(const answer_states& answers) = 0;
  // A stream, piece by piece: what a frame adds to answer `index`; that it has ended; that all
  // have.
  virtual std::string frame(std::size_t index, const answer_state& answer,
                            const proto::JobTokens& tokens) = 0;
  virtual std::string ending(std::size_t index, const answer_state& answer) = 0;
  virtual std::string last(const answer_states& answers) = 0;
  // The stream broke.
  virtual std::string failed(const api_error& why) = 0;
};

std::unique_ptr<answer_writer> make_openai_writer(const reply_plan& plan, reply_identity identity);
std::unique_ptr<answer_writer> make_ollama_writer(const reply_plan& plan, reply_identity identity);
std::unique_ptr<answer_writer> make_writer(const reply_plan& plan, reply_identity identity);

// "stop", "length" or "error".
const char* reason_name(proto::FinishReason reason);
std::string joined(const std::set<std::string>& names);  // "a,b"
// For people: "gateway=a node=b attempts=1 source=computed queue_ms=0".
std::string served_by(const answer_states& answers);

}  // namespace troupe::http
