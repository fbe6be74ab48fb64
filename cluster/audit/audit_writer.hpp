// The audit log's own thread: takes events from anyone, writes them, and goes on when it cannot.
//
// A disk that is full or fails is told in the node's log; events wait, at most waiting_max, and are
// written when the disk takes them again; those past that are counted and the count is written.
// Threading: write() from any thread. The end writes what waits, once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "cluster/audit/audit_file.hpp"

namespace troupe::audit {

struct writer_settings {
  audit_place place;
  std::size_t waiting_max = 1024;
  std::chrono::milliseconds retry{2'000};
};

class audit_writer final : public log {
 public:
  explicit audit_writer(writer_settings settings);
  ~audit_writer() override;

  void write(event what) override;

 private:
  void run();
  bool write_out(std::deque<timed_event>& events);

  writer_settings settings_;
  std::unique_ptr<audit_file> file_;  // of the thread
  bool failed_ = false;               // of the thread: told, and not yet well again
  std::mutex guard_;
  std::condition_variable wake_;
  std::deque<timed_event> waiting_;
  std::uint64_t left_out_ = 0;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace troupe::audit
