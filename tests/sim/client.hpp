// A client of the simulation: submits with ids of its own, reads with credit, cancels, leaves and
// comes back, goes to another gateway when its own is gone or silent.
//
// It believes and checks nothing: what it hears goes into the history. Each connection is a process
// with a name of its own, as the client library's sessions are. Threading: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/plan.hpp"
#include "tests/sim/process.hpp"

namespace troupe::sim {

class client {
 public:
  client(clockwork& clock, network& net, dice chances, std::size_t number,
         const link::link_settings& link, std::vector<std::string> gateways,
         std::vector<const job_plan*> jobs, std::function<void(event)> record);
  ~client();

  // Jobs that were asked for and whose end has not been heard.
  std::size_t in_flight() const;
  bool done() const;
  const std::string& name() const { return name_; }
  std::string session_name() const;  // empty: none

 private:
  class session;
  enum class phase { waiting, asked, reading, ended };
  struct reading {
    const job_plan* plan = nullptr;
    sim::client::phase phase = sim::client::phase::waiting;
    std::uint64_t stream = 0;                        // the one that is read
    std::map<std::uint64_t, std::uint32_t> streams;  // asked for and not answered: from
    std::vector<std::int32_t> held;
    std::uint32_t next = 0;     // index that comes next on the stream
    std::uint64_t granted = 0;  // index that its credit ends before
    time_us granted_at = 0;
    std::uint32_t unread = 0, read = 0;
    time_us news_at = 0;
    time_us not_before = 0;
    bool from_start = false;
    bool cancelled = false, left = false, conflicted = false, again = false;
  };

  void connect();
  void drop(time_us wait);  // the session, and after a while another one
  void tick();
  void ask(reading& r);
  void ask_other_content(reading& r);
  void came_up(const std::string& gateway);
  void went_down();
  void hear(const proto::Envelope& message);
  void hear_tokens(reading& r, const proto::JobTokens& tokens);
  void hear_end(reading& r, const proto::Envelope& message);
  void hear_error(const proto::Envelope& message);
  void read_some(reading& r);
  void grant(reading& r);
  void say(proto::Envelope message);
  reading* of(const std::string& job);
  void record(what kind, const reading& r, event e = {});

  clockwork& clock_;
  network& net_;
  dice dice_;
  const std::string name_;
  const std::uint64_t number_;
  const time_us patience_;
  link::link_settings link_;
  std::vector<std::string> gateways_;
  std::function<void(event)> record_;
  std::vector<reading> readings_;
  std::unique_ptr<session> session_;
  std::string gateway_;  // that answers; empty: not connected
  std::size_t at_ = 0;
  std::uint64_t sessions_ = 0, correlation_ = 0;
  time_us connecting_since_ = 0;
  bool dropping_ = false;
};

}  // namespace troupe::sim
