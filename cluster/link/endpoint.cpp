// The shell of the link: one I/O thread, and a lock that hands the sockets to a sender that finds
// them free.
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "cluster/link/link_loop.hpp"

namespace troupe::link {
namespace {

constexpr std::chrono::milliseconds drain_time{1000};

time_us steady_now() {
  return static_cast<time_us>(std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::steady_clock::now().time_since_epoch())
                                  .count());
}

status check(const identity& self, const link_settings& settings) {
  if (self.name.empty() || self.name.size() > 256)
    return error{error_code::invalid_argument, "the link needs a name of 1 to 256 bytes", ""};
  if (settings.chunk_bytes < 1024 || settings.chunk_bytes > body_bytes_max - chunk_prefix_bytes)
    return error{error_code::invalid_argument,
                 "chunk_bytes is " + std::to_string(settings.chunk_bytes), "use 1024 to 4194288"};
  if (settings.coalesced_bytes_max < 256 || settings.coalesced_bytes_max > body_bytes_max)
    return error{error_code::invalid_argument,
                 "coalesced_bytes_max is " + std::to_string(settings.coalesced_bytes_max),
                 "use 256 to 4194304"};
  if (settings.silence_max.count() < 10 || settings.silence_max.count() > 3'600'000)
    return error{error_code::invalid_argument,
                 "silence_max is " + std::to_string(settings.silence_max.count()) + " ms",
                 "use 10 ms to 1 h"};
  return {};
}

// Sleeping and being woken: `asleep_` is set before the I/O thread looks into the outbox for the
// last time, and senders look at it after they have put something in; so either it sees theirs, or
// they see it asleep and act.
class zmq_endpoint final : public endpoint {
 public:
  zmq_endpoint(identity self, const link_settings& settings, std::unique_ptr<socket_set> sockets,
               link_events& events, int wake)
      : self_(self),
        events_(events),
        wake_(wake),
        submitted_(settings.queued_bytes_max, settings.chunk_bytes),
        loop_(std::move(self), settings, std::move(sockets), submitted_),
        address_(loop_.address()) {}

  ~zmq_endpoint() override {
    stopping_ = true;
    kick();
    thread_.join();
    ::close(wake_);
  }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  status connect(std::string address) override {
    const std::lock_guard hold(lock_);
    status done = loop_.connect(address);
    kick();
    return done;
  }

  void disconnect(std::string_view address) override {
    const std::lock_guard hold(lock_);
    loop_.disconnect(address, steady_now());
    kick();
  }

  status send(envelope_ptr message) override {
    bool due = false;
    if (status done = submitted_.submit(message, due); !done.ok()) return done;
    if (due && asleep_.load()) send_from_here();
    return {};
  }

  const identity& self() const override { return self_; }
  std::string address() const override { return address_; }

  std::vector<proto::LinkStatus> links() const override {
    const std::lock_guard hold(lock_);
    return loop_.links();
  }

 private:
  void kick() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);  // full: it is awake
  }

  // Whoever fails to get the lock leaves its envelope to the holder, who looks again after letting
  // go: if that look had come before the envelope, the lock would have been free.
  void send_from_here() {
    do {
      const std::unique_lock hold(lock_, std::try_to_lock);
      if (!hold) return;
      loop_.send_submitted(steady_now());
      // Sending may have swallowed the signal of something that came in; events are the I/O
      // thread's to hand out.
      if (loop_.pending() || loop_.has_events() || loop_.held_back()) kick();
    } while (submitted_.due());
  }

  void hand_out(std::vector<link_event>& events) {
    for (link_event& event : events) {
      if (event.kind == link_event::what::up)
        events_.on_peer_up(*event.peer);
      else if (event.kind == link_event::what::envelopes)
        events_.on_envelopes(*event.peer, event.messages);
      else
        events_.on_peer_down(*event.peer, std::move(event.reason), std::move(event.messages));
    }
  }

  // One turn under the lock. Gives the time to sleep, 0 where there is more to do.
  std::chrono::microseconds turn(std::vector<link_event>& events, std::vector<pollfd>& waits) {
    const std::lock_guard hold(lock_);
    if (!waits.empty()) loop_.woken(waits);
    const time_us now = steady_now();
    const bool again = loop_.turn(now);
    events = loop_.take_events();
    waits.clear();
    if (again || loop_.pending()) return {};
    waits.push_back({wake_, POLLIN, 0});
    loop_.wait_set(waits);
    const time_us next = loop_.next_deadline();
    return std::chrono::microseconds(next > now ? next - now : 0);
  }

  void sleep(std::chrono::microseconds time, std::vector<pollfd>& waits) {
    asleep_.store(true);
    if (!submitted_.due() && !stopping_) {
      const timespec wait{static_cast<time_t>(time.count() / 1'000'000),
                          static_cast<long>(time.count() % 1'000'000) * 1000};
      if (::ppoll(waits.data(), waits.size(), &wait, nullptr) < 0)
        for (pollfd& w : waits) w.revents = POLLIN;  // a signal came: look everywhere
    }
    asleep_.store(false);
    if (waits[0].revents != 0) {
      std::uint64_t count;
      [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
    }
  }

  void run() {
    std::vector<link_event> events;
    std::vector<pollfd> waits;
    time_us drained_by = 0;
    for (;;) {
      const auto idle_for = turn(events, waits);
      hand_out(events);
      const bool quiet = idle_for.count() > 0;  // what the events led to is due, or was sent
      if (stopping_) {
        if (drained_by == 0) drained_by = steady_now() + drain_time.count() * 1000;
        const std::lock_guard hold(lock_);
        if (loop_.idle() || steady_now() >= drained_by) break;
      }
      if (!quiet) continue;
      if (!stopping_) {
        sleep(idle_for, waits);
      } else {
        ::poll(waits.data(), waits.size(), 1);
      }
    }
    {
      const std::lock_guard hold(lock_);
      loop_.close(steady_now());
      events = loop_.take_events();
    }
    hand_out(events);
  }

  const identity self_;
  link_events& events_;
  const int wake_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  outbox submitted_;
  mutable std::mutex lock_;  // loop_ and all sockets
  link_loop loop_;
  const std::string address_;
  std::thread thread_;
};

}  // namespace

void link_events::on_envelopes(const peer_view& from, std::span<envelope_ptr> messages) {
  for (envelope_ptr& message : messages) on_envelope(from, std::move(message));
}

result<std::unique_ptr<endpoint>> endpoint::open(identity self, link_settings settings,
                                                 link_events& events) {
  if (const status holds = check(self, settings); !holds.ok()) return holds.failure();
  auto sockets = socket_set::open(settings.listen, settings.silence_max);
  if (!sockets.ok()) return sockets.failure();
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0)
    return error{error_code::resource_exhausted, "the link got no eventfd",
                 "raise the limit of open files (ulimit -n)"};
  auto opened = std::make_unique<zmq_endpoint>(std::move(self), settings,
                                               std::move(sockets).value(), events, wake);
  opened->start();
  return std::unique_ptr<endpoint>(std::move(opened));
}

}  // namespace troupe::link
