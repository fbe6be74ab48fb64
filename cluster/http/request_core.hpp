// One HTTP request's conversation with the gateway: its jobs go out, what comes back becomes the
// reply.
//
// A client like any other (proto/job.proto): each job's tokens are checked to be the next ones,
// with the hash that they claim. A stream grants credit for what was written, half a window at a
// time, so that a slow reader holds at most credit_tokens of each answer here; a document is
// bounded by its jobs' tokens_max. Any job that fails fails the request; who runs this tells the
// gateway that the session is gone, and the other jobs end. Threading: none; pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/http/answer_writer.hpp"
#include "proto/envelope.pb.h"

namespace troupe::http {

struct request_origin {
  std::string session;             // the sender of its messages
  std::string node;                // whose gateway serves
  std::string tenant;              // whose fair share the jobs count to; empty: the session's
  proto::TraceContext trace = {};  // that the request is a part of
};

class request_core {
 public:
  static constexpr std::uint32_t credit_tokens = 64;  // of each answer of a stream

  // ids: one of 16 bytes for each job.
  request_core(asked_work work, const std::vector<std::string>& ids, request_origin origin,
               std::int64_t created_s);

  std::vector<proto::Envelope> submissions() const;
  void take(const proto::Envelope& message);
  void fail(api_error why);

  // The reply's head may go out: the first tokens of a stream are here, or all of a document.
  bool begun() const;
  // A stream's head has waited long enough: it goes out without naming who serves.
  void begin() { begun_ = true; }
  bool done() const { return failure_ || ended_ == answers_.size(); }
  // Why there will be no answer. Before anything was written it is the reply.
  const std::optional<api_error>& failure() const { return failure_; }

  // What is to be written now; may be empty. Call written() once it has left.
  std::string take_output();
  std::vector<proto::Envelope> written();
  // The credit of each stream that has not ended, once more: a grant may be lost on its way.
  std::vector<proto::Envelope> credit() const;

  const reply_plan& plan() const { return work_.plan; }
  const char* content_type() const { return writer_->content_type(); }
  const answer_states& answers() const { return answers_; }
  // "troupe-node" and its like, as far as they are known.
  std::vector<std::pair<std::string, std::string>> headers() const;

 private:
  std::optional<std::size_t> index_of(const std::string& job_id) const;
  void take_tokens(std::size_t index, const proto::JobTokens& tokens);
  void take_finished(std::size_t index, const proto::JobFinished& finished);
  proto::Envelope grant_of(std::size_t index) const;
  proto::Envelope to_gateway() const;

  asked_work work_;
  request_origin origin_;
  std::unique_ptr<answer_writer> writer_;
  answer_states answers_;
  std::string output_;
  std::vector<std::uint32_t> unwritten_;    // tokens of each answer whose text waits in output_
  std::vector<std::uint32_t> leaving_;      // ... that take_output() gave away
  std::vector<std::uint64_t> written_;      // ... that have left
  std::vector<std::uint64_t> granted_for_;  // ... of these, when credit was last given
  std::size_t ended_ = 0;
  bool begun_ = false;
  std::optional<api_error> failure_;
};

}  // namespace troupe::http
