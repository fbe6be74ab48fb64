// A client's side of the link: one gateway, many jobs, requests with replies.
//
// Threading: every member from any thread; link events come on the link's I/O thread and only touch
// state under the lock.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cluster/client/job_reading.hpp"
#include "cluster/client/troupe.hpp"
#include "cluster/link/link.hpp"

namespace troupe::client {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class session final : private link::link_events {
 public:
  static result<std::shared_ptr<session>> open(std::string_view at, milliseconds wait_max);
  ~session() override;

  // Submits and waits until the gateway has taken or refused the job.
  status submit(const proto::SubmitJob& job);
  result<std::optional<token>> next(const std::string& job_id, milliseconds wait_max);
  report summary(const std::string& job_id) const;
  void cancel(const std::string& job_id);
  void forget(const std::string& job_id);  // cancels what has not ended
  // Sends a request to an actor of the gateway's node and waits for its reply; an Error comes back
  // as one.
  result<link::envelope_ptr> ask(const char* actor, proto::Envelope request, milliseconds wait_max);
  const std::string& node_name() const { return node_; }
  // True once the node is gone.
  bool wait_until_gone(milliseconds wait_max);

 private:
  struct running_job {
    job_reading reading;
    std::uint64_t correlation = 0;
  };
  struct waiting_request {
    link::envelope_ptr reply;
    std::optional<error> failure;
  };

  session() = default;
  void on_envelope(const link::peer_view& from, link::envelope_ptr message) override;
  void on_peer_up(const link::peer_view& peer) override;
  void on_peer_down(const link::peer_view& peer, std::string reason,
                    std::vector<link::envelope_ptr> undelivered) override;
  proto::Envelope to_gateway(const char* actor) const;
  status send(proto::Envelope message);
  void take(const link::envelope_ptr& message);

  mutable std::mutex guard_;
  std::condition_variable changed_;
  std::string name_, at_;
  std::string gateway_;  // empty: not connected
  std::string node_;     // the name that it had when the session was opened
  std::uint64_t next_correlation_ = 1;
  std::map<std::string, running_job> jobs_;  // by the id's 16 bytes
  std::map<std::uint64_t, waiting_request> requests_;
  std::unique_ptr<link::endpoint> endpoint_;
};

}  // namespace troupe::client
