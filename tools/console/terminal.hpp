// The terminal that this process runs in: its own screen for the time of this object, without echo;
// as it was before when it ends, also by SIGTERM, SIGINT and SIGHUP (which wait() tells). One at a
// time in a process. Threading: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::console {

class terminal {
 public:
  static bool is_one();  // stdin and stdout are terminals
  terminal();
  ~terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  status begin();
  void end();  // as it was before; what wait() tells is over
  struct size {
    unsigned width = 80, height = 24;
  };
  size measured() const;

  struct heard {
    std::string bytes;  // of keys
    bool resized = false;
    bool ended = false;  // the terminal is gone, or a signal asks for the end
  };
  heard wait(std::chrono::milliseconds at_most);

  // Sends the lines that differ from those shown; all of them after a change of size.
  void show(const std::vector<std::string>& lines);
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  void send(const std::string& bytes);
  bool begun_ = false, gone_ = false;
  std::vector<std::string> shown_;
  int signal_pipe_[2] = {-1, -1};
  std::uint64_t bytes_sent_ = 0;
};

// The bytes that turn `before` into `after` on a terminal.
std::string changes(const std::vector<std::string>& before, const std::vector<std::string>& after);

}  // namespace troupe::console
