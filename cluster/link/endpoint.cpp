// The shell of the link: one I/O thread, and a lock that hands the sockets to a sender that finds
// them free.
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <random>
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

std::function<std::uint64_t()> random_number() {
  return [source = std::make_shared<std::random_device>()] {
    std::random_device& draw = *source;
    return (std::uint64_t{draw()} << 32) | draw();
  };
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
               link_events& events, std::unique_ptr<waiting> waits)
      : self_(self),
        events_(events),
        waits_(std::move(waits)),
        submitted_(settings.queued_bytes_max, settings.chunk_bytes),
        loop_(std::move(self), settings, std::move(sockets), submitted_, random_number()),
        address_(loop_.address()) {}

  ~zmq_endpoint() override {
    stopping_ = true;
    kick();
    thread_.join();
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

  void allow(keys::allow_list allowed) override {
    const std::lock_guard hold(lock_);
    loop_.allow(std::move(allowed), steady_now());
    kick();
  }

  bool shut() const override {
    const std::lock_guard hold(lock_);
    return loop_.shut();
  }

  std::optional<error> dial_trouble() const override {
    const std::lock_guard hold(lock_);
    return loop_.dial_trouble();
  }

  status send(envelope_ptr message) override {
    bool due = false;
    if (status done = submitted_.submit(message, due); !done.ok()) return done;
    if (!due) return {};
    if (first_of_events())
      send_from_here(true);
    else if (asleep_.load())
      send_from_here(false);
    return {};
  }

  const identity& self() const override { return self_; }
  std::string address() const override { return address_; }

  std::vector<proto::LinkStatus> links() const override {
    std::unique_lock hold(lock_);
    std::vector<proto::LinkStatus> all = loop_.links();
    hold.unlock();
    if (submitted_.due()) kick();  // a sender that found the lock held left it to us
    return all;
  }

 private:
  void kick() const { waits_->wake(); }

  // What the events lead to first is sent at once, the rest when all are handed out, together.
  bool first_of_events() {
    if (io_thread_.load(std::memory_order_relaxed) != std::this_thread::get_id()) return false;
    return std::exchange(nothing_sent_, false);
  }

  // Whoever fails to get the lock leaves its envelope to the holder, who looks again after letting
  // go: if that look had come before the envelope, the lock would have been free.
  void send_from_here(bool looks_itself) {
    do {
      const std::unique_lock hold(lock_, std::try_to_lock);
      if (!hold) return;
      loop_.send_submitted(steady_now());
      // Sending may have swallowed the signal of something that came in; events are the I/O
      // thread's to hand out, and on its own it looks again before it sleeps.
      if (looks_itself) continue;
      if (loop_.pending() || loop_.has_events() || loop_.held_back()) kick();
    } while (submitted_.due());
  }

  // True: something was sent meanwhile.
  bool hand_out(std::vector<link_event>& events) {
    nothing_sent_ = true;
    for (link_event& event : events) {
      if (event.kind == link_event::what::up)
        events_.on_peer_up(*event.peer);
      else if (event.kind == link_event::what::envelopes)
        events_.on_envelopes(*event.peer, event.messages);
      else
        events_.on_peer_down(*event.peer, std::move(event.reason), std::move(event.messages));
    }
    return !std::exchange(nothing_sent_, false);
  }

  // One turn under the lock. Gives the time to sleep, 0 where there is more to do.
  std::chrono::microseconds turn(std::vector<link_event>& events,
                                 std::span<const std::uint64_t> woken) {
    const std::lock_guard hold(lock_);
    loop_.woken(woken);
    const time_us now = steady_now();
    const bool again = loop_.turn(now);
    events = loop_.take_events();
    if (again || loop_.pending()) return {};
    const time_us next = loop_.next_deadline();
    return std::chrono::microseconds(next > now ? next - now : 0);
  }

  std::span<const std::uint64_t> sleep(std::chrono::microseconds time) {
    std::span<const std::uint64_t> woken;
    asleep_.store(true);
    if (!submitted_.due() && !stopping_) woken = waits_->wait(time);
    asleep_.store(false);
    return woken;
  }

  void run() {
    io_thread_ = std::this_thread::get_id();
    ::pthread_setname_np(::pthread_self(), "link");
    std::vector<link_event> events;
    std::span<const std::uint64_t> woken;
    time_us drained_by = 0;
    for (;;) {
      const auto idle_for = turn(events, std::exchange(woken, {}));
      const bool sent = hand_out(events);
      const bool quiet = idle_for.count() > 0 && !sent;
      if (stopping_) {
        if (drained_by == 0) drained_by = steady_now() + drain_time.count() * 1000;
        const std::lock_guard hold(lock_);
        if (loop_.idle() || steady_now() >= drained_by) break;
      }
      if (!quiet) continue;
      woken = stopping_ ? waits_->wait(std::chrono::milliseconds(1)) : sleep(idle_for);
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
  const std::unique_ptr<waiting> waits_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> io_thread_{};
  bool nothing_sent_ = false;  // the I/O thread's
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
  auto waits = waiting::open();
  if (!waits.ok()) return waits.failure();
  auto sockets = open_sockets(settings, **waits);
  if (!sockets.ok()) return sockets.failure();
  auto opened = std::make_unique<zmq_endpoint>(
      std::move(self), settings, std::move(sockets).value(), events, std::move(waits).value());
  opened->start();
  return std::unique_ptr<endpoint>(std::move(opened));
}

}  // namespace troupe::link
