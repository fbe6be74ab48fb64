// One POST over plain HTTP/1.1, for collectors and webhooks on one's own network. Blocks, at most
// until the deadline: for a thread of its own.
//
// Redirects are not followed, and of the answer only the status is read. TLS is not spoken: a
// collector beside the node passes on. Resolving a name may take longer than the deadline.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "config/outcome.hpp"

namespace troupe {

struct http_place {
  std::string host, port, path;  // "127.0.0.1", "4318", "/v1/traces"
};
// "http://HOST[:PORT][/PATH]". invalid_argument: another form.
result<http_place> http_place_of(std::string_view url);

// The answer's status. unavailable: nobody there, or no HTTP; deadline_exceeded.
result<int> http_post(const http_place& to, std::string_view content_type, std::string_view body,
                      std::chrono::milliseconds wait_max);

}  // namespace troupe
