// Which security a ZeroMQ socket asks for: read from its greeting (ZMTP 3), without a handshake.
//
// ZeroMQ does not always tell a dialler why it was turned away: the other side hangs up at once,
// and whether its greeting is read before that is a race. This reads it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace troupe::link {

// "NULL", "CURVE", ...; nullopt: nobody there, or no ZeroMQ of version 3, within the time.
// address: tcp://HOST:PORT. Blocks for wait_max at most, beside the time to resolve HOST.
std::optional<std::string> asked_mechanism(const std::string& address,
                                           std::chrono::milliseconds wait_max);

}  // namespace troupe::link
