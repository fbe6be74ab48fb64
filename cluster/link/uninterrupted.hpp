// ZeroMQ's calls give up with EINTR where a signal falls into them, before they have done anything:
// they are made again. A profile's timers send such signals all the time.
#pragma once

#include <cerrno>
#include <zmq.hpp>

namespace troupe::link {

template <class Call>
auto uninterrupted(Call&& call) {
  for (;;) {
    try {
      return call();
    } catch (const zmq::error_t& failed) {
      if (failed.num() != EINTR) throw;
    }
  }
}

inline bool take_if_there(zmq::socket_t& from, zmq::message_t& to) {
  return uninterrupted([&] { return from.recv(to, zmq::recv_flags::dontwait).has_value(); });
}

inline bool give(zmq::socket_t& to, zmq::message_t& what,
                 zmq::send_flags flags = zmq::send_flags::none) {
  return uninterrupted(
      [&] { return to.send(what, flags | zmq::send_flags::dontwait).has_value(); });
}

}  // namespace troupe::link
