// A journal's own thread: writes what a gateway hands over, so that no actor waits for a disk.
//
// What comes while one sync runs shares the next (group commit). After a failure everything is
// dropped up to the next fresh batch. What waits is bounded: a disk that does not keep up counts as
// failed. Threading: write() from any thread, in the order that counts; `tell` is called on the
// journal's thread. The end writes what waits and syncs it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "cluster/journal/batch.hpp"
#include "cluster/journal/journal_store.hpp"

namespace troupe::journal {

struct journal_news {
  std::uint64_t position = 0;  // durable up to here
  bool too_large = false;      // a fresh file would be much smaller
  std::optional<error> failure;
};

struct writer_settings {
  std::uint64_t file_bytes_max = 64u << 20;  // or twice what a fresh file had, where that is more
  std::size_t records_waiting_max = 1u << 18;
};

class journal_writer {
 public:
  // The store has been read; both must outlive the writer.
  journal_writer(journal_store& store, writer_settings settings,
                 std::function<void(const journal_news&)> tell);
  ~journal_writer();

  void write(batch records);

 private:
  void run();
  journal_news carry_out(const std::deque<batch>& batches);

  journal_store& store_;
  writer_settings settings_;
  std::function<void(const journal_news&)> tell_;
  std::mutex guard_;
  std::condition_variable wake_;
  std::deque<batch> waiting_;
  std::size_t records_waiting_ = 0;
  bool overflown_ = false;
  bool ending_ = false;
  bool broken_ = false;  // of the thread: until a fresh file
  bool told_large_ = false;
  std::thread thread_;
};

}  // namespace troupe::journal
