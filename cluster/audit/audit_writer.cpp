#include "cluster/audit/audit_writer.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <random>
#include <utility>
#include <vector>

namespace troupe::audit {
namespace {

std::string time_text() {
  using namespace std::chrono;
  const auto now = system_clock::now();
  const std::time_t seconds = system_clock::to_time_t(now);
  const auto ms = duration_cast<milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char day[32], out[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(out, sizeof out, "%s.%03dZ", day, static_cast<int>(ms));
  return out;
}

std::string random_bytes() {
  std::random_device source;
  std::string out;
  while (out.size() < 32) out += static_cast<char>(source());
  return out;
}

}  // namespace

audit_writer::audit_writer(writer_settings settings)
    : settings_(std::move(settings)), thread_([this] { run(); }) {}

audit_writer::~audit_writer() {
  {
    const std::lock_guard lock{guard_};
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void audit_writer::write(event what) {
  {
    const std::lock_guard lock{guard_};
    if (waiting_.size() >= settings_.waiting_max) {
      ++left_out_;
      return;
    }
    waiting_.push_back({time_text(), std::move(what)});
  }
  wake_.notify_one();
}

void audit_writer::run() {
  ::pthread_setname_np(::pthread_self(), "audit");
  std::unique_lock lock{guard_};
  for (;;) {
    // After a failure the disk gets a moment, but the end does not wait for it.
    if (failed_ && !ending_)
      wake_.wait_for(lock, settings_.retry, [this] { return ending_; });
    else
      wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty() && ending_) return;
    const bool last = ending_;
    std::deque<timed_event> events = std::exchange(waiting_, {});
    lock.unlock();
    const bool written = events.empty() || write_out(events);
    lock.lock();
    if (written) {
      if (const std::uint64_t count = std::exchange(left_out_, 0); count > 0)
        waiting_.push_front(
            {time_text(),
             {"daemon", "events_left_out", "failed", {{"count", std::to_string(count)}}}});
      continue;
    }
    if (last) {
      spdlog::error("audit_lost events={}", events.size() + left_out_);
      return;
    }
    waiting_.insert(waiting_.begin(), std::make_move_iterator(events.begin()),
                    std::make_move_iterator(events.end()));
    while (waiting_.size() > settings_.waiting_max) {
      waiting_.pop_back();
      ++left_out_;
    }
  }
}

bool audit_writer::write_out(std::deque<timed_event>& events) {
  status done;
  if (!file_) {
    auto opened = audit_file::open(settings_.place, random_bytes, time_text());
    if (opened) {
      file_ = *std::move(opened);
      if (!file_->mended().empty()) spdlog::warn("audit_mended found=\"{}\"", file_->mended());
    } else {
      done = opened.failure();
    }
  }
  if (file_) done = file_->append(std::vector<timed_event>(events.begin(), events.end()));
  if (!done) {
    if (!std::exchange(failed_, true))
      spdlog::error("audit_failed reason=\"{}\"", done.failure().text());
    file_.reset();  // whatever the disk kept of it is read again
    return false;
  }
  if (std::exchange(failed_, false)) spdlog::info("audit_writes_again");
  return true;
}

}  // namespace troupe::audit
