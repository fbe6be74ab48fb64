// One job's stream as the client sees it: takes the gateway's messages, checks them, and holds
// tokens until they are read.
//
// Invariants: tokens leave in index order, each once; the running hash holds at every frame; no
// more than the credit that was granted waits here. What came is kept, for another gateway to go on
// from. Threading: none; the session guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "cluster/client/troupe.hpp"
#include "proto/envelope.pb.h"

namespace troupe::client {

class job_reading {
 public:
  explicit job_reading(std::uint32_t window) : window_(window), credit_limit_(window) {}

  void take(const proto::JobAccepted& accepted);
  void take(const proto::JobTokens& frame);
  void take(const proto::JobFinished& finished);
  void fail(error why);

  bool accepted() const { return accepted_; }
  bool ended() const { return ended_; }
  bool has_token() const { return !tokens_.empty(); }
  token pop();
  // Asks for the rest: `job` as it was submitted, with what is held, and a window of credit.
  void resume(proto::SubmitJob& job);
  // The index to grant credit up to now that tokens were read: 0, or half of the window more.
  std::uint64_t credit_due();
  // What was granted last; said again when nothing comes.
  std::uint64_t credit_limit() const { return credit_limit_; }
  // Why the stream failed; to be told after the tokens that came before.
  const std::optional<error>& failure() const { return failure_; }
  const report& summary() const { return report_; }

 private:
  void keep(const proto::JobTokens& frame);

  std::uint32_t window_;
  std::uint64_t credit_limit_;
  proto::JobAccepted pinned_;
  std::vector<proto::JobTokens> held_;
  bool accepted_ = false;
  bool ended_ = false;
  std::optional<error> failure_;
  report report_;
  std::deque<token> tokens_;
  std::uint32_t next_index_ = 0;
  std::uint64_t hash_ = 0;
};

// The error as it travelled, as a value of this library.
error error_of(const proto::Error& e);

}  // namespace troupe::client
