// What the connections of one server share: sessions, admission, keys, long jobs, metrics.
//
// Invariants: every session that was opened is closed; requests admitted leave; each number is
// bounded by a setting. Threading: any thread; nothing blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/audit/rate_bound.hpp"
#include "cluster/http/admission.hpp"
#include "cluster/http/api_key_file.hpp"
#include "cluster/http/http_server.hpp"
#include "cluster/http/job_book.hpp"
#include "cluster/http/job_keeper.hpp"
#include "cluster/http/metrics_text.hpp"

namespace troupe::http {

class inbox;

class front_desk {
 public:
  // keys: null where none are asked for; else those of http.api_key_file. keeper: null where long
  // jobs are not written down.
  front_desk(http_settings settings, http_outside outside, std::optional<key_file> keys,
             std::unique_ptr<job_keeper> keeper = nullptr);
  ~front_desk();

  const http_settings& settings() const { return settings_; }
  request_limits limits() const;
  std::int64_t started_s() const { return started_s_; }

  // Sessions.
  std::string open_session(std::shared_ptr<inbox> reader);
  void close_session(const std::string& session, bool tell_gateway);
  void post(proto::Envelope message);
  void deliver(const envelope_ptr& message);
  void gateway_restarted();

  // Who asks, or why they may not; a refusal is counted, and told in the audit log where the route
  // is a privileged one. to: null where there is no such route.
  std::variant<caller, api_error> recognise(const http_request& request, const route* to,
                                            const std::string& address);
  std::optional<api_error> admit(const std::string& client);
  // A place for what no bound may turn away; leave() gives it back.
  void enter(const std::string& client);
  void leave(const std::string& client);
  bool asks_for_keys() const { return keys_.has_value(); }
  // Something that changes the cluster was asked for and done, or not.
  void audit(const caller& who, std::string what, std::string outcome,
             std::vector<std::pair<std::string, std::string>> about = {});

  // Long jobs. A job of somebody else is as one that is not there.
  std::variant<job_book::submitted, api_error> submit_job(const job_wish& wish);
  // False once it is on disk, or could not be written and is unknown.
  bool is_being_written(const std::string& id) const;
  api_error why_not_written() const;
  bool may_touch(const std::string& id, const caller& who);
  void cancel_job(const std::string& id);
  std::optional<std::string> job_state(const std::string& id) const;
  // Jobs of before a restart go on: what is posted now reaches the gateway, and comes back.
  void begin_jobs();
  std::optional<job_book::piece> read_job(const std::string& id, std::uint32_t from) const;
  // Woken at each change of any job, while it lives.
  void watch_jobs(const std::shared_ptr<inbox>& reader);
  // Connections have ended: nobody is woken any more.
  void forget_watchers();

  // The newest reading of the cluster, if it is fresh.
  std::shared_ptr<const proto::ClusterStatus> fresh_status() const;
  void keep_status(std::shared_ptr<const proto::ClusterStatus> status);

  live_counts counts() const;
  bool draining() const { return draining_; }
  void drain();
  bool connection_opened();  // false: there are too many
  void connection_closed() { --connections_; }
  std::uint64_t requests() const { return requests_; }

 private:
  void carry_out_book();
  void hear(const journal::journal_news& news);
  void keys_changed(const key_change& change);
  void count(refusal_reason reason) { ++refused_[static_cast<std::size_t>(reason)]; }

  http_settings settings_;
  http_outside outside_;
  std::optional<key_watch> keys_;
  std::int64_t started_s_ = 0;
  std::atomic<bool> draining_{false};
  std::atomic<std::uint32_t> connections_{0}, requests_{0};
  std::array<std::atomic<std::uint64_t>, refusal_names.size()> refused_{};

  mutable std::mutex guard_;
  std::map<std::string, std::shared_ptr<inbox>> sessions_;
  std::uint64_t next_session_ = 1;
  std::map<std::string, std::uint32_t> requests_of_;
  std::shared_ptr<const proto::ClusterStatus> status_;
  std::chrono::steady_clock::time_point status_at_{};
  audit::rate_bound refusals_told_{16, std::chrono::seconds(1)};

  mutable std::mutex book_guard_;
  job_book book_;
  std::vector<std::weak_ptr<inbox>> job_watchers_;
  std::unique_ptr<job_keeper> keeper_;  // last: its thread ends first
};

}  // namespace troupe::http
