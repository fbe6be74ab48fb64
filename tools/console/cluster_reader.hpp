// Looks at the cluster twice a second, and does what is asked of it, on threads of its own: a node
// that hangs never holds up the screen. Every question has a deadline. Where the node that answers
// is gone, the given addresses are tried again, then those that the last picture told of.
//
// Threading: ask() from any thread; `heard` is called from the threads of this object.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/client/observing.hpp"
#include "tools/console/console_events.hpp"

namespace troupe::console {

using heard_type = decltype(event::what);

class cluster_reader {
 public:
  cluster_reader(std::string at, client::connect_options options,
                 std::function<void(heard_type)> heard);
  ~cluster_reader();  // waits for the questions that are under way, which have deadlines
  cluster_reader(const cluster_reader&) = delete;
  cluster_reader& operator=(const cluster_reader&) = delete;

  void ask(const effect& what);
  // Tells every thread to end; returns whether all have within that time.
  bool end(std::chrono::milliseconds within);

 private:
  // One session for each thread: none waits for another's.
  struct looker {
    std::unique_ptr<client::observer> session;
    std::size_t turn = 0;  // of the addresses
  };
  result<client::observer*> open(looker& by);
  void read_pictures();
  void read_rest();
  void act();
  void act_on(const effect& what, looker& by);
  bool read_log(looker& by);
  bool read_story(looker& by);
  bool read_history(looker& by);
  bool pause(std::chrono::milliseconds length);  // false: it is to end
  bool ending();
  std::vector<std::string> addresses();

  const std::string at_;
  const client::connect_options options_;
  const std::function<void(heard_type)> heard_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  int threads_ = 0;
  std::vector<std::string> learned_;
  std::deque<effect> asked_;
  std::string story_;
  proto::LogLevel level_ = proto::LEVEL_INFO;
  bool level_changed_ = false;
  proto::ReadLog log_asked_;  // of the second thread

  std::vector<std::thread> running_;
};

}  // namespace troupe::console
