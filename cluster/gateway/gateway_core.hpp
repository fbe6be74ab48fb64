// The gateway: takes jobs, pins them, has them computed by some node, and gives each client its
// tokens once, in order.
//
// Invariants: a client gets each index once, contiguous from where it asked, never more than its
// credit; a delivered token never changes; a job ends once; every request that waits has a deadline
// (request_table); the number of jobs, of kept answers and of early frames is bounded. A job that
// lost its worker is started elsewhere with the tokens it holds forced; one whose workers died
// twice while it ran there is set aside as poison. With a journal, JobAccepted and JobFinished
// leave once their records are durable. Threading: none; a pure core (actors/core.hpp). Its grammar
// is in proto/job.proto, the journal's in proto/journal.proto, a job's phases in job_record.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "cluster/gateway/gateway_effects.hpp"
#include "cluster/gateway/gateway_settings.hpp"
#include "cluster/gateway/job_checks.hpp"
#include "cluster/gateway/job_record.hpp"
#include "cluster/gateway/node_breakers.hpp"
#include "cluster/gateway/routing.hpp"
#include "cluster/membership/membership_core.hpp"

namespace troupe::cluster {

class gateway_core {
 public:
  explicit gateway_core(gateway_settings settings);

  // What the wall clock shows, as seconds of local time: jobs that come from now on are pinned to
  // it.
  void tell_local_time(std::int64_t seconds) { local_seconds_ = seconds; }

  gateway_effects receive(const proto::Envelope& message, time_point_us now);
  gateway_effects view_changed(cluster_view_ptr view, time_point_us now);
  // A node, or a client's session, is down. `died`: its process ended, and what it ran may be why.
  gateway_effects node_lost(const std::string& node, time_point_us now, bool died = false);
  // An actor started afresh: it has forgotten what it was asked.
  gateway_effects actor_restarted(const std::string& node, const std::string& actor,
                                  time_point_us now);
  gateway_effects tick(time_point_us now);

  // The journal's side (gateway_journal.cpp); only with gateway_settings::journal.
  // First of all calls, once: what the journal holds, oldest first. Jobs without an end are taken
  // up again, ended ones answer a client that returns. Begins a fresh file.
  gateway_effects recover(std::vector<proto::JournalRecord> records, time_point_us now);
  // Clients within this process, whose sessions' names begin so, are there again: each job of
  // theirs that the journal brought back is theirs as before, from its first token.
  gateway_effects sessions_back(const std::string& prefix, time_point_us now);
  // Everything up to a batch's position is on disk.
  gateway_effects durable(std::uint64_t position, time_point_us now);
  // Nothing can be written: new jobs are refused with `why`, those that nobody was told of yet as
  // well; the others go on. Ends with the durability of a fresh file.
  gateway_effects journal_failed(const error& why, time_point_us now);
  // Everything that is known, as a fresh file: when the old one is too large or has failed.
  gateway_effects rewrite_journal(time_point_us now);

  // No new jobs from now on; with end_running, those that run fail as UNAVAILABLE. Journaled ones
  // stay in the journal for the next start; their clients are told to go elsewhere.
  gateway_effects stop_accepting(bool end_running, time_point_us now);

  const gateway_counters& counters() const { return counters_; }
  const std::optional<error>& journal_failure() const { return journal_failure_; }
  std::size_t waiting_requests() const { return requests_.size(); }
  std::size_t known_jobs() const { return jobs_.size(); }
  std::optional<job_phase> phase_of(const std::string& id) const;  // nothing: not known
  // Acceptances, ends and replies that are told once the disk has them.
  std::size_t untold() const { return waiting_for_disk_.size(); }

 private:
  enum class request_kind { prepare, look_up, load, start, status, release };
  struct request {
    request_kind kind = request_kind::prepare;
    std::string job;              // or empty: a part of what is gathered from all nodes
    std::uint64_t gathering = 0;  // the status_read or the release
    std::string node;
    std::string actor;
    time_point_us deadline_at{};
  };
  struct status_read {
    proto::Envelope asked;
    std::map<std::string, proto::NodeStatus> nodes;
    std::set<std::string> waiting;
  };
  struct release_wish {
    proto::Envelope asked;
    proto::PrefixReleased told;
    std::set<std::string> waiting;
  };
  struct step {  // one event's context
    time_point_us now;
    gateway_effects out;
  };

  // gateway_submission.cpp: the client's side.
  void submit(const proto::Envelope& message, step& s);
  void attach(job_record& job, const proto::Envelope& message, step& s);
  void grant(const proto::Envelope& message, step& s);
  void cancel(const proto::Envelope& message, step& s);
  void refuse_submission(const proto::Envelope& message, const error& why, step& s);
  void refuse_job(job_record& job, const proto::Error& why, step& s);
  void accept(job_record& job, const proto::PromptPrepared& prepared, step& s);
  void pump(job_record& job, step& s);
  void take_credit(job_record& job, const proto::SubmitJob& asked);
  void acknowledge(job_record& job, step& s);
  void detach(job_record& job, step& s);
  void abandon(job_record& job, const char* why, step& s);
  status take_held(job_record& job, const proto::SubmitJob& asked, step& s);

  // gateway_attempts.cpp: the workers' side.
  void resolve(job_record& job, step& s);
  void prepare(job_record& job, step& s);
  void dispatch(job_record& job, step& s);
  void proceed(job_record& job, step& s);
  void look_up(job_record& job, step& s);
  void load(job_record& job, step& s);
  void start(job_record& job, step& s);
  void stop_sequence(job_record& job, step& s);
  void take_tokens(const proto::Envelope& message, step& s);
  void take_finished(const proto::Envelope& message, step& s);
  void take_failed(const proto::Envelope& message, step& s);
  void conclude(job_record& job, step& s);
  void raise_worker_credit(job_record& job, step& s);
  void grant_worker(job_record& job, step& s);
  job_record* fenced_job(const proto::Envelope& message, const std::string& job_id,
                         const proto::Fence& fence);

  // gateway_retries.cpp. said_by: who says that an attempt failed; membership, when it is gone.
  enum class said_by { node, gateway, membership };
  void attempt_failed(job_record& job, const proto::Error& why, step& s,
                      said_by who = said_by::gateway);
  void note_failure(job_record& job, const proto::Error& why, said_by who, step& s);
  void wait_for_node(job_record& job, bool some_rest, step& s);

  // gateway_endings.cpp: how jobs end and are forgotten.
  void finish_computed(job_record& job, const proto::SequenceFinished& ending, step& s);
  void finish_cached(job_record& job, const proto::AnswerFound& found, step& s);
  void finish_early(job_record& job, proto::FinishReason reason, const proto::Error& why, step& s);
  void seal(job_record& job, proto::JobFinished finished, step& s);
  void forget_old(step& s);
  void forget(const std::string& id, step& s);

  // gateway_journal.cpp: what is written down, and what waits for it.
  struct waiting_for_disk {
    std::uint64_t position = 0;
    std::string job;                       // to be acknowledged, or told its end
    std::optional<proto::Envelope> reply;  // or this is to be posted
  };
  // Writes `record` and returns its position; 0 where it is not written.
  std::uint64_t write_down(proto::JournalRecord record, step& s);
  void write_taken(job_record& job, step& s);
  void write_attempt(const job_record& job, const std::string& worker, step& s);
  void write_tokens(const job_record& job, std::uint32_t from, step& s);
  void write_end(job_record& job, step& s);
  void wait_for_disk(waiting_for_disk what, step& s);
  void disk_has(const waiting_for_disk& what, step& s);
  bool on_disk(std::uint64_t position) const;
  void begin_fresh(step& s);
  bool replay(proto::JournalRecord&& written, step& s);
  bool replay_taken(proto::JobTaken& taken, step& s);
  bool replay_end(proto::JobFinished& finished, step& s);
  void take_up_again(job_record& job, std::size_t here, step& s);
  void suspend(job_record& job, const proto::Error& why, step& s);

  // gateway_core.cpp: requests and their replies. gateway_status.cpp: the cluster's status.
  void reply_arrived(const proto::Envelope& message, step& s);
  void request_failed(request gone, const proto::Error& why, step& s, said_by who);
  void read_cluster(const proto::Envelope& message, step& s);
  void status_part(std::uint64_t id, const std::string& node, const proto::NodeStatus* status,
                   step& s);
  void check_times(job_record& job, step& s);
  // gateway_telling.cpp: what monitoring hears of a job while it goes on.
  void tell(const job_record& job, proto::ObserveStep what, step& s) const;
  void tell(const job_record& job, proto::StepKind kind, step& s, const std::string& at = {}) const;
  void tell_end(const job_record& job, const proto::JobFinished& finished, step& s) const;
  void read_jobs(const proto::Envelope& message, step& s) const;

  // gateway_release.cpp: what a text's KV takes on the nodes is freed.
  void release(const proto::Envelope& message, step& s);
  void release_part(std::uint64_t id, const std::string& node, const proto::BlocksReleased* part,
                    step& s);
  result<proto::ReleaseBlocks> blocks_meant(const proto::ReleasePrefix& wish) const;
  void fail_requests_to(const std::string& node, const std::string& actor, const char* why,
                        bool died, step& s);

  // gateway_suspects.cpp: jobs that may kill their workers.
  void note_loss(job_record& job, const std::string& node, bool alone);
  void clear_suspicion(job_record& job);
  bool suspected(const job_record& job) const;
  bool set_aside(job_record& job, step& s);
  bool another_suspect_runs(const job_record& job) const;
  bool is_bad_company(const job_record& job, const std::string& node) const;

  proto::Envelope to_node(const job_record& job, const std::string& node, const char* actor,
                          step& s) const;
  proto::Envelope to_client(const job_record& job) const;
  // Posts a request that is answered or fails by its deadline.
  void ask(job_record& job, request_kind kind, proto::Envelope message, milliseconds wait, step& s);
  void drop_request(job_record& job);
  void post(proto::Envelope message, step& s) const;
  job_record* find(const std::string& id);
  std::uint32_t sequences_at(const std::string& node) const;
  std::uint32_t running_of(const std::string& tenant) const;

  gateway_settings settings_;
  gateway_counters counters_;
  cluster_view_ptr view_;
  node_breakers breakers_;
  seeded_draws draws_;
  std::map<std::string, job_record> jobs_;
  std::set<std::string> suspects_;  // ids
  std::map<std::uint64_t, request> requests_;
  std::map<std::uint64_t, status_read> status_reads_;
  std::map<std::uint64_t, release_wish> releases_;
  std::uint64_t next_correlation_;  // never one of an earlier epoch, whose replies may still come
  std::uint32_t last_fence_ = 0;
  std::int64_t local_seconds_ = 0;
  bool stopping_ = false;
  std::optional<time_point_us> first_view_at_;
  std::uint64_t position_ = 0;  // of the journal's last record
  std::uint64_t durable_ = 0;
  std::deque<waiting_for_disk> waiting_for_disk_;  // in rising position
  std::optional<error> journal_failure_;
  std::optional<std::uint64_t> fresh_position_;  // of a fresh file that is being written
};

proto::Error wire_error(const error& e);
proto::Error wire_error(proto::Error::Code code, std::string message, std::string mend = {});

}  // namespace troupe::cluster
