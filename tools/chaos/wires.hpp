// The wires between nodes: each connection that one node makes to another passes through here,
// where it can be held, delayed, damaged or cut, without any right on the machine. What is held is
// delivered later, as TCP does after a cable is plugged in again.
//
// Threading: any thread; the bytes pass on one thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::chaos {

// What happens to bytes from one node to another.
struct wire_state {
  bool held = false;
  std::chrono::milliseconds delay{0};
  bool damaged = false;  // now and then a bit flips
};

class wires {
 public:
  explicit wires(std::uint64_t seed);
  ~wires();
  wires(const wires&) = delete;
  wires& operator=(const wires&) = delete;

  // A port on loopback at which `from` reaches what listens on `port` for `to`; 0: none could be
  // had.
  int lay(const std::string& from, const std::string& to, int port);
  void set(const std::string& from, const std::string& to, wire_state state);
  // Breaks every connection that the node has made or taken.
  void cut(const std::string& node);
  std::uint64_t bytes_damaged() const { return damaged_; }

 private:
  using ends = std::pair<std::string, std::string>;  // from, to
  struct piece {
    std::chrono::steady_clock::time_point due;
    std::string bytes;
    std::size_t written = 0;
  };
  struct flow {  // one direction of a connection
    int in = -1, out = -1;
    ends names;
    std::list<piece> waiting;
    std::size_t waiting_bytes = 0;
    bool closed = false;
  };
  struct connection {
    flow there, back;
    bool broken = false;
  };
  struct door {
    int socket = -1;
    ends names;
    int port = 0;
  };

  void pass();
  void open(const door& at);
  void pump(flow& f, connection& c, std::chrono::steady_clock::time_point now);
  void damage(std::string& bytes);
  wire_state state_of(const ends& names) const;

  mutable std::mutex guard_;
  std::map<ends, wire_state> states_;
  std::vector<door> doors_;
  std::list<connection> connections_;
  std::mt19937_64 random_;
  std::atomic<std::uint64_t> damaged_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::chaos
