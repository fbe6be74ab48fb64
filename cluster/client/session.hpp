// A client's side of the link: one gateway at a time, many jobs, requests with replies.
//
// Every address that was given is dialled; the node that came first is the gateway until it goes.
// A job whose gateway is gone, or has forgotten it, is submitted with what it holds at another node
// that is up, or at the same one; what refuses it for now is asked again, up to resume_wait.
// Threading: every member from any thread; link events come on the link's I/O thread and only touch
// state under the lock.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/client/job_reading.hpp"
#include "cluster/client/troupe.hpp"
#include "cluster/link/link.hpp"

namespace troupe::client {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class session final : private link::link_events {
 public:
  static result<std::shared_ptr<session>> open(std::string_view at, connect_options options);
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
  const connect_options& options() const { return options_; }
  // True once the node is gone.
  bool wait_until_gone(milliseconds wait_max);

 private:
  struct running_job {
    job_reading reading;
    proto::SubmitJob asked;
    std::string gateway;  // empty: none has it now
    std::uint64_t correlation = 0;
    std::optional<steady_clock::time_point> lost_at;  // its gateway; until another has taken it
    std::optional<steady_clock::time_point> retry_at;
    steady_clock::time_point heard_at{};  // or its credit was said
    error last_error{};
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
  void take(const std::string& from, const link::envelope_ptr& message);
  void refused(running_job& job, const proto::Error& why);
  bool knows_several() const { return at_.find(',') != std::string::npos; }
  // Under the lock: hands the job to a node that is up, another than `avoided` where there is one.
  status hand_over(running_job& job, const std::string& avoided);
  void grant(const std::string& job_id, running_job& job);
  void lose(running_job& job, error why);
  // Waits until the job has news for its reader or the time is over, and tries again what was
  // refused for now. False: the time is over.
  template <class News>
  bool wait_for_job(std::unique_lock<std::mutex>& lock, running_job& job, milliseconds wait_max,
                    News&& has_news);

  mutable std::mutex guard_;
  std::condition_variable changed_;
  std::string name_, at_;
  connect_options options_;
  milliseconds resume_wait_{0};
  std::vector<std::string> up_;  // nodes that can be reached
  std::string gateway_;          // one of them; empty: not connected
  std::string node_;             // the name that it had when the session was opened
  std::uint64_t next_correlation_ = 1;
  std::map<std::string, running_job> jobs_;  // by the id's 16 bytes
  std::map<std::uint64_t, waiting_request> requests_;
  std::unique_ptr<link::endpoint> endpoint_;
};

}  // namespace troupe::client
