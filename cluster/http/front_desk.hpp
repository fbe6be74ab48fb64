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

#include "cluster/http/http_server.hpp"
#include "cluster/http/job_book.hpp"
#include "cluster/http/metrics_text.hpp"
#include "cluster/http/request_reader.hpp"
#include "cluster/http/routes.hpp"

namespace troupe::http {

class inbox;

class front_desk {
 public:
  front_desk(http_settings settings, http_outside outside, std::vector<std::string> key_digests);

  const http_settings& settings() const { return settings_; }
  request_limits limits() const;
  std::int64_t started_s() const { return started_s_; }

  // Sessions.
  std::string open_session(std::shared_ptr<inbox> reader);
  void close_session(const std::string& session, bool tell_gateway);
  void post(proto::Envelope message);
  void deliver(const envelope_ptr& message);
  void gateway_restarted();

  // Who asks. `client` becomes the key's or the address's name.
  std::optional<api_error> refuse_stranger(const http_request& request, const route& to,
                                           std::string& client) const;
  std::optional<api_error> admit(const std::string& client);
  void leave(const std::string& client);

  // Long jobs.
  std::variant<job_book::submitted, api_error> submit_job(const job_wish& wish);
  bool cancel_job(const std::string& id);
  std::optional<std::string> job_state(const std::string& id) const;
  std::optional<job_book::piece> read_job(const std::string& id, std::uint32_t from) const;
  // Woken at each change of any job, while it lives.
  void watch_jobs(const std::shared_ptr<inbox>& reader);

  // The newest reading of the cluster, if it is fresh.
  std::shared_ptr<const proto::ClusterStatus> fresh_status() const;
  void keep_status(std::shared_ptr<const proto::ClusterStatus> status);

  live_counts counts() const;
  bool draining() const { return draining_; }
  void drain() { draining_ = true; }
  bool connection_opened();  // false: there are too many
  void connection_closed() { --connections_; }
  std::uint64_t requests() const { return requests_; }

 private:
  void carry_out_book();

  http_settings settings_;
  http_outside outside_;
  std::vector<std::string> key_digests_;  // SHA-256
  std::int64_t started_s_ = 0;
  std::atomic<bool> draining_{false};
  std::atomic<std::uint32_t> connections_{0}, requests_{0};
  std::atomic<std::uint64_t> refused_{0};

  mutable std::mutex guard_;
  std::map<std::string, std::shared_ptr<inbox>> sessions_;
  std::uint64_t next_session_ = 1;
  std::map<std::string, std::uint32_t> requests_of_;
  std::shared_ptr<const proto::ClusterStatus> status_;
  std::chrono::steady_clock::time_point status_at_{};

  mutable std::mutex book_guard_;
  job_book book_;
  std::vector<std::weak_ptr<inbox>> job_watchers_;
};

// The keys of a file, one a line, as SHA-256 digests. permission_denied: others can read it.
result<std::vector<std::string>> read_keys(const std::string& file);

}  // namespace troupe::http
