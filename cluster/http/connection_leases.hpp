// What a request holds while it is served; each is given back with its scope. Threading: the
// connection's strand.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <string>
#include <utility>

#include "cluster/http/connection.hpp"
#include "cluster/http/inbox.hpp"

namespace troupe::http {

// A session at the desk, ended with its scope.
class session_lease {
 public:
  session_lease(front_desk& desk, const std::shared_ptr<inbox>& box)
      : desk_(desk), name_(desk.open_session(box)) {}
  ~session_lease() { desk_.close_session(name_, tell_gateway); }
  session_lease(const session_lease&) = delete;
  session_lease& operator=(const session_lease&) = delete;
  const std::string& name() const { return name_; }
  bool tell_gateway = true;  // false once nothing of it runs

 private:
  front_desk& desk_;
  std::string name_;
};

// A place among the admitted requests, given back with its scope.
class admission_lease {
 public:
  admission_lease(front_desk& desk, std::string client) : desk_(desk), client_(std::move(client)) {}
  ~admission_lease() { desk_.leave(client_); }
  admission_lease(const admission_lease&) = delete;
  admission_lease& operator=(const admission_lease&) = delete;

 private:
  front_desk& desk_;
  std::string client_;
};

// Tells the inbox when the client closes; ends with its scope.
class client_watch {
 public:
  client_watch(const asio::any_io_executor& strand, std::shared_ptr<connection> self, wire& over,
               std::shared_ptr<inbox> box) {
    asio::co_spawn(
        strand,
        [](std::shared_ptr<connection>, wire& of, std::shared_ptr<inbox> to,
           std::shared_ptr<asio::cancellation_signal>) -> asio::awaitable<void> {
          if (!co_await of.gone()) co_return;
          to->give_up();
          of.close();  // ends a write that waits
        }(std::move(self), over, std::move(box), stop_),
        asio::bind_cancellation_slot(stop_->slot(), asio::detached));
  }
  ~client_watch() { stop_->emit(asio::cancellation_type::all); }
  client_watch(const client_watch&) = delete;
  client_watch& operator=(const client_watch&) = delete;

 private:
  std::shared_ptr<asio::cancellation_signal> stop_ = std::make_shared<asio::cancellation_signal>();
};

}  // namespace troupe::http
