#include "cluster/link/dial_watch.hpp"

#include <cstring>
#include <utility>

#include "cluster/link/uninterrupted.hpp"

namespace troupe::link {

dial_watch::dial_watch(zmq::context_t& context, zmq::socket_t& dial, std::uint64_t number) {
  const std::string where = "inproc://dial-" + std::to_string(number);
  if (zmq_socket_monitor(dial.handle(), where.c_str(),
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) != 0)
    throw zmq::error_t();
  dial_ = dial.handle();
  told_ = zmq::socket_t(context, zmq::socket_type::pair);
  told_.set(zmq::sockopt::linger, 0);
  uninterrupted([&] { told_.connect(where); });
}

dial_watch::dial_watch(dial_watch&& other) noexcept
    : dial_(std::exchange(other.dial_, nullptr)), told_(std::move(other.told_)) {}

dial_watch& dial_watch::operator=(dial_watch&& other) noexcept {
  if (this == &other) return *this;
  stop();
  dial_ = std::exchange(other.dial_, nullptr);
  told_ = std::move(other.told_);
  return *this;
}

dial_watch::~dial_watch() {
  stop();
}

void dial_watch::stop() {
  if (dial_) zmq_socket_monitor(std::exchange(dial_, nullptr), nullptr, 0);
}

std::optional<handshake_failure> dial_watch::look() {
  std::optional<handshake_failure> last;
  zmq::message_t part;
  try {
    while (told_ && take_if_there(told_, part)) {
      std::uint16_t event = 0;
      std::uint32_t value = 0;
      if (part.size() == sizeof event + sizeof value) {
        std::memcpy(&event, part.data(), sizeof event);
        std::memcpy(&value, part.data<char>() + sizeof event, sizeof value);
      }
      while (part.more() && take_if_there(told_, part)) {
      }
      if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        last = handshake_failure::unlisted;
      else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
               value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        last = handshake_failure::other_mechanism;
      else if (event != 0)
        last = handshake_failure::unknown;
    }
  } catch (const zmq::error_t&) {
    // The context is closing: there is nothing more to be told.
  }
  return last;
}

error trouble_of(handshake_failure failure, const std::string& address, bool encrypted,
                 const keys::public_key& server) {
  if (failure == handshake_failure::unlisted)
    return {error_code::permission_denied, "the node at " + address + " does not list our key",
            "have it listed there: `troupe keys show` here, `troupe keys allow` there"};
  if (failure == handshake_failure::other_mechanism && encrypted)
    return {error_code::permission_denied,
            "the node at " + address + " does not encrypt its links, and we do",
            "set link.security: curve there, or use no keys here"};
  if (failure == handshake_failure::other_mechanism)
    return {error_code::permission_denied,
            "the node at " + address + " wants a key (link.security: curve), and we gave none",
            "give a key file: --key-file or TROUPE_KEY_FILE, link.security and link.key_file of a "
            "node, connect_options::key_file in a program"};
  if (encrypted)
    return {error_code::permission_denied,
            "what answers at " + address + " does not hold the key " + server.text().substr(0, 16) +
                "..., or has not listed ours",
            "compare with what `troupe keys show` prints there"};
  return {error_code::unavailable, "what answers at " + address + " is no trouped",
          "name a node's link address"};
}

}  // namespace troupe::link
