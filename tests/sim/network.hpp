// The wires: connections that break, partitions, and frames that come late, twice, not at all or as
// garbage. Each process has sockets of the link's own kind, so the link above them is the real one.
//
// As with TCP and ZeroMQ, frames of one connection keep their order unless the seed says otherwise,
// a killed process is noticed at once, a machine without power or behind a cut is not, and whatever
// was on its way when a connection breaks is gone without a word. Threading: one thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/link/sockets.hpp"
#include "tests/sim/clockwork.hpp"

namespace troupe::sim {

struct wire_faults {  // per mille of frames
  unsigned loss = 0, repeat = 0, reorder = 0, garbage = 0;
  time_us delay_max = 300;
};

// How a process is reached by what happens outside it.
struct machine {
  std::string name;      // nodes and clients have distinct ones
  std::string address;   // where it listens; empty: nowhere
  bool stopped = false;  // SIGSTOP: nothing of it runs, its sockets' buffers fill
  std::function<void()> wake;
};

class network {
 public:
  network(clockwork& clock, dice chances) : clock_(clock), dice_(chances) {}
  network(const network&) = delete;
  network& operator=(const network&) = delete;

  wire_faults faults;

  std::unique_ptr<link::socket_set> open(machine& at);
  // Frames from `from` to `to` stop; held ones come when the cut is healed, others are gone.
  void cut(const std::string& from, const std::string& to, bool held);
  void heal(const std::string& from, const std::string& to);
  void heal_all();
  // Every connection between the two is reset.
  void reset(const std::string& a, const std::string& b);
  // The next sockets that close say nothing to their peers: power went.
  void silence(const std::string& name) { silenced_.insert(name); }
  std::uint64_t frames_delivered() const { return delivered_; }

 private:
  class sockets;
  struct frame_on_wire {
    std::string bytes;
  };
  struct wire {
    sockets* end[2] = {nullptr, nullptr};  // dialler, listener; null: gone without a word
    std::string name[2];
    link::channel_id channel[2] = {0, 0};
    time_us last_arrival[2] = {0, 0};  // toward end[i]
    std::deque<frame_on_wire> held[2];
  };

  void try_dial(sockets* from, link::channel_id channel, std::uint64_t life);
  bool cut_off(const std::string& from, const std::string& to) const {
    return cuts_.contains({from, to});
  }
  void send(std::uint64_t number, int to, std::string bytes);
  void arrive(std::uint64_t number, int to, std::string bytes);
  void break_wire(std::uint64_t number, bool told);
  void closing(sockets* gone);

  clockwork& clock_;
  dice dice_;
  std::map<std::string, sockets*> listening_;  // by address
  std::map<std::uint64_t, sockets*> open_;     // by life
  std::map<std::uint64_t, wire> wires_;
  std::map<std::pair<std::string, std::string>, bool> cuts_;  // value: held
  std::set<std::string> silenced_;
  std::uint64_t last_wire_ = 0, last_life_ = 0, delivered_ = 0;
};

}  // namespace troupe::sim
