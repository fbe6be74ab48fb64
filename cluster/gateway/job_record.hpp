// One job at its gateway. Its phases, and what leads from each to which, are in job_states.hpp.
//
// In every phase: CancelJob and the deadline end the job; without its client it goes on for the
// detach grace (an ephemeral one, and one that is not accepted yet, ends at once); anything that
// carries another fence than the running attempt's is dropped and counted. A journaled job tells
// its client that it is accepted, and that it has ended, once that record is durable.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "actors/core.hpp"
#include "cluster/gateway/answer_stream.hpp"
#include "cluster/gateway/job_states.hpp"

namespace troupe::cluster {

struct job_record {
  // What was asked.
  std::string id;
  std::string fingerprint;
  proto::SubmitJob asked;
  proto::TraceContext trace;
  proto::Address client;
  std::uint64_t correlation = 0;
  time_point_us deadline_at{};
  std::int64_t local_seconds = 0;  // what the wall clock showed then
  std::string tenant;              // as given, else the session that submitted it
  time_point_us taken_at{};

  // What was pinned.
  bool accepted = false;
  bool acknowledged = false;  // its record is durable, or it needs none
  bool journaled = false;
  std::uint64_t ended_position = 0;  // in the journal; 0: has no end there
  bool brought_prefix = false;       // tokens came from its client: not for the caches
  std::string digest;
  proto::JobAccepted pinned;
  google::protobuf::RepeatedField<std::int32_t> prompt_ids;

  // How it goes.
  job_phase phase = job_phase::waiting_for_model;
  std::uint64_t request = 0;  // the pending request that this phase waits for
  bool looked_up = false;
  bool must_load = false;  // ask the loader even where the view says READY
  std::string worker;
  std::uint64_t worker_incarnation = 0;
  bool worker_ready = false;
  std::vector<std::string> holders;
  std::string numerics_class;  // of the attempt; its first tokens were computed in `first_class`
  std::string first_class;
  bool class_changed = false;
  std::uint32_t attempt = 0;  // StartSequence sent so far
  // Of the running attempt; counted over all jobs of the gateway, so that a job that was forgotten
  // and comes again is not taken for what it was before.
  std::uint32_t fence = 0;
  std::uint32_t failures = 0;
  std::uint64_t queue_us = 0;  // of the attempt, once it computes
  // Workers that died while this job ran there, since its answer last grew; its tokens then.
  std::vector<std::string> lost_at;
  std::uint32_t lost_tokens = 0;
  bool convicted = false;  // the last one ran nothing else of this gateway
  std::set<std::string> avoid;
  std::set<std::string> refused_by;  // nodes that live and said no; not before `retry_at` again
  time_point_us retry_at{};
  proto::Error last_error;
  std::uint64_t worker_limit = 0;                 // index that the worker's credit ends before
  std::optional<proto::SequenceFinished> ending;  // came before the last tokens
  std::optional<time_point_us> gap_since;
  time_point_us progress_at{};
  time_point_us granted_at{};  // its credit was last said
  std::optional<time_point_us> waiting_since;
  std::string because;            // why it is where it is
  bool attempt_shown = false;     // the attempt's first token was told to monitoring
  time_point_us patient_until{};  // while a gateway that was started again has not found its nodes
  answer_stream answer;

  // Toward the client.
  std::optional<time_point_us> detached_since;  // it has none
  proto::Address client_before;                 // whose it was when the journal was written
  std::uint32_t sent = 0;                       // next index to send
  std::uint64_t sent_limit = 0;                 // index that its credit ends before
  std::optional<time_point_us> accepted_at, first_token_at;
  proto::AnswerSource source = proto::COMPUTED;
  std::optional<proto::JobFinished> finished;
  bool finished_sent = false;
  time_point_us finished_at{};
};

}  // namespace troupe::cluster
