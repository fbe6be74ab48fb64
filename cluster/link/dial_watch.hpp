// What ZeroMQ tells about the handshakes of one dial: why nobody answers. A hint for people and for
// trying again, never a verdict about a peer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

enum class handshake_failure {
  unlisted,         // the other side does not admit our key
  other_mechanism,  // one side encrypts, the other does not
  unknown,          // it hung up: wrong key of the server, or no node at all
};

// Ends before the dial's socket does: ZeroMQ's own thread would wait for a reader that is gone.
class dial_watch {
 public:
  dial_watch() = default;
  // Before connect. `number`: not used before in this context. Throws zmq::error_t.
  dial_watch(zmq::context_t& context, zmq::socket_t& dial, std::uint64_t number);
  dial_watch(dial_watch&& other) noexcept;
  dial_watch& operator=(dial_watch&& other) noexcept;
  ~dial_watch();
  // The last failure since it was last asked.
  std::optional<handshake_failure> look();

 private:
  void stop();
  void* dial_ = nullptr;
  zmq::socket_t told_;
};

// server: the key that was expected there.
error trouble_of(handshake_failure failure, const std::string& address, bool encrypted,
                 const keys::public_key& server);

}  // namespace troupe::link
