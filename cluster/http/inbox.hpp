// Where one request waits for what comes to its session, and for the news that its client has gone.
//
// Not a channel of Asio's: in Boost 1.81 closing one discards what it holds. Threading: push(),
// wake() and give_up() from any thread; the rest on the request's strand.
#pragma once

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "actors/core.hpp"

namespace troupe::http {

namespace asio = boost::asio;
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

class inbox : public std::enable_shared_from_this<inbox> {
 public:
  explicit inbox(const asio::any_io_executor& strand) : timer_(strand) {}

  void push(envelope_ptr message) {
    {
      const std::lock_guard lock{guard_};
      messages_.push_back(std::move(message));
    }
    wake();
  }
  void wake() {
    if (woken_.exchange(true)) return;
    asio::post(timer_.get_executor(), [self = shared_from_this()] { self->timer_.cancel(); });
  }
  // The client has gone: nobody waits for an answer.
  void give_up() {
    gone_ = true;
    wake();
  }
  bool given_up() const { return gone_; }

  std::vector<envelope_ptr> take() {
    const std::lock_guard lock{guard_};
    return std::exchange(messages_, {});
  }

  // Returns at the first news, or at `until`.
  asio::awaitable<void> wait(asio::steady_timer::time_point until) {
    if (woken_.exchange(false)) co_return;
    timer_.expires_at(until);
    co_await timer_.async_wait(as_result);
    woken_ = false;
  }

 private:
  asio::steady_timer timer_;
  std::mutex guard_;
  std::vector<envelope_ptr> messages_;
  std::atomic<bool> woken_{false}, gone_{false};
};

}  // namespace troupe::http
