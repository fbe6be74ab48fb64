// Job ids: UUIDs of RFC 9562, 16 bytes inside, 36 characters outside.
#pragma once

#include <string>
#include <string_view>

#include "config/outcome.hpp"

namespace troupe::client {

// Version 7: 48 bits of Unix milliseconds, the rest random. Any thread.
std::string make_uuid();
std::string uuid_text(std::string_view bytes);
result<std::string> uuid_bytes(std::string_view text);

}  // namespace troupe::client
