// One process of the simulation, node or client: its clock, its link, and whether it runs, is
// stopped or is gone.
//
// The link is the real one (link_loop, with its outbox, greetings, sessions and frames); only the
// sockets and the random numbers are ours. Whatever a process wants later is asked for with
// later(): it does not happen once the process is gone, and waits while it is stopped. Threading:
// one thread.
#pragma once

#include <memory>
#include <string>

#include "actors/core.hpp"
#include "cluster/link/link_loop.hpp"
#include "tests/sim/network.hpp"

namespace troupe::sim {

class process {
 public:
  process(clockwork& clock, network& net, dice chances, link::identity who, std::string address,
          const link::link_settings& settings);
  virtual ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  const std::string& name() const { return machine_.name; }
  // Its own steady clock: it began somewhere else than the others.
  time_us local_now() const { return clock_.now() + offset_; }
  time_point_us local_time() const {
    return time_point_us(static_cast<time_point_us::rep>(local_now()));
  }
  void stop_for(time_us time);  // SIGSTOP, then SIGCONT
  bool stopped() const { return machine_.stopped; }
  void dial(const std::string& address) {
    (void)loop_->connect(address).ok();
    wake();
  }
  void hang_up(const std::string& address) {
    loop_->disconnect(address, local_now());
    wake();
  }

 protected:
  virtual void on_up(const link::peer_view& peer) = 0;
  virtual void on_down(const link::peer_view& peer, const std::string& reason,
                       std::vector<envelope_ptr> undelivered) = 0;
  virtual void on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) = 0;

  status send(const envelope_ptr& message);
  void later(time_us wait, action call);
  void wake();  // the link looks at its sockets soon

  clockwork& clock_;
  dice dice_;

 private:
  void turn();
  void set_timer();

  machine machine_;
  const time_us offset_;
  time_us stopped_until_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  link::outbox outbox_;
  bool turn_asked_ = false;
  time_us timer_at_ = 0;
  std::unique_ptr<link::link_loop> loop_;
};

}  // namespace troupe::sim
