#include "cluster/journal/journal_writer.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace troupe::journal {

journal_writer::journal_writer(journal_store& store, writer_settings settings,
                               std::function<void(const journal_news&)> tell)
    : store_(store), settings_(settings), tell_(std::move(tell)), thread_([this] { run(); }) {}

journal_writer::~journal_writer() {
  {
    const std::lock_guard lock{guard_};
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void journal_writer::write(batch records) {
  if (records.records.empty()) return;
  {
    const std::lock_guard lock{guard_};
    if (records.fresh) {
      waiting_.clear();  // it says all that they say
      records_waiting_ = 0;
      overflown_ = false;
    }
    records_waiting_ += records.records.size();
    overflown_ |= !records.fresh && records_waiting_ > settings_.records_waiting_max;
    if (overflown_)
      waiting_.clear();
    else
      waiting_.push_back(std::move(records));
  }
  wake_.notify_one();
}

void journal_writer::run() {
  ::pthread_setname_np(::pthread_self(), "journal");
  std::unique_lock lock{guard_};
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || overflown_ || !waiting_.empty(); });
    if (waiting_.empty() && !overflown_) break;
    const std::deque<batch> batches = std::exchange(waiting_, {});
    records_waiting_ = 0;
    const bool overflown = std::exchange(overflown_, false);
    lock.unlock();
    journal_news news = carry_out(batches);
    if (overflown) {
      broken_ = true;
      news.failure = error{error_code::resource_exhausted,
                           "the disk of the journal does not keep up with what is written",
                           "give node.state_dir a faster disk"};
    }
    if (news.position > 0 || news.too_large || news.failure) tell_(news);
    lock.lock();
  }
  lock.unlock();
  (void)store_.sync().ok();
}

journal_news journal_writer::carry_out(const std::deque<batch>& batches) {
  journal_news news;
  bool urgent = false;
  std::uint64_t position = 0;
  for (const batch& one : batches) {
    if (broken_ && !one.fresh) continue;
    const status done = one.fresh ? store_.begin(one.records) : store_.append(one.records);
    broken_ = !done;
    if (broken_) {
      news.failure = done.failure();
      continue;
    }
    if (one.fresh) {
      news.failure.reset();
      told_large_ = false;
    }
    urgent |= one.urgent;
    position = one.position;
  }
  if (broken_ || position == 0) return news;
  if (urgent) {
    if (status done = store_.sync(); !done) {
      broken_ = true;
      news.failure = done.failure();
      return news;
    }
    news.position = position;
  }
  const std::uint64_t most = std::max(settings_.file_bytes_max, 2 * store_.bytes_at_begin());
  news.too_large = !told_large_ && store_.bytes() > most;
  told_large_ |= news.too_large;
  return news;
}

}  // namespace troupe::journal
