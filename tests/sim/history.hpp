// What a run leaves behind for the checker: what clients asked and heard, what gateways took from
// workers, what workers began, what was done to the cluster, and what was left at the end.
//
// A stream is one answer to one SubmitJob: a client that asks again, there or elsewhere, reads
// another stream. Recorded at the edges of the cores, never inside them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/envelope.pb.h"
#include "tests/sim/clockwork.hpp"

namespace troupe::sim {

enum class what {
  submit,         // who: client, node: gateway, first: index asked from, count: credit
  accepted,       // text: the pinned parameters
  refused,        // code
  tokens,         // first, ids, hash, text
  finished,       // reason, count: tokens, hash, text: the tail
  grant,          // count
  cancel,         // the client asked for the end
  given_up,       // the client wants no more of the job
  impatient,      // nothing came for too long: it leaves its gateway
  conflict,       // who submitted the job's id with another content
  conflict_told,  // and was told: code OK where it was accepted
  attempt,        // node: worker, who: gateway, epoch, attempt: a StartSequence that the core took
  frame,          // node: gateway, who: worker, epoch, attempt; count 1: taken, 0: fenced
  sending,        // node: worker, who: gateway, epoch, attempt: a frame left
  sealed,         // node: gateway, epoch: the job ended there; reason, count, hash
  fault,          // text; count: jobs in flight
  recovered,      // node: what its journal holds. text: job ids; first: detach grace, ms
  healed,         // no more faults
  left,           // at the end. node; text: what of; count: how much was left over
  node_lost,      // node: who says so, who: lost, text: why; count 1: though all others reached it
  view,           // at the end. node: whose view, who: of whom, text: what differs from the truth
};

struct event {
  time_us at = 0;
  sim::what what = what::fault;
  std::string who, node, job;
  std::uint64_t stream = 0, epoch = 0;
  std::uint32_t attempt = 0, first = 0, count = 0;
  std::vector<std::int32_t> ids;
  std::uint64_t hash = 0;
  proto::FinishReason reason = proto::FINISH_REASON_UNSPECIFIED;
  proto::Error::Code code = proto::Error::OK;
  std::string text;
};

// A job and the only answer that it may get.
struct known_job {
  std::string id;
  proto::JobSpecification asked;
  std::vector<std::int32_t> ids;
  std::string text;
  proto::FinishReason reason = proto::LENGTH;
  bool poison = false;  // kills the worker that computes it
  bool after_heal = false;
  bool has_deadline = false;
};

struct history {
  std::map<std::string, known_job> jobs;
  std::vector<event> events;
  // Bounds that the run was set up with.
  std::uint32_t attempts_max = 3, worker_losses_max = 2;
  time_us ends_within = 0;  // after `healed`
};

std::string described(const event& e);

}  // namespace troupe::sim
