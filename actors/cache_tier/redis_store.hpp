// The door to Redis: bytes by name. hiredis stays behind it.
//
// Every call, connecting included, ends within the deadline given at make; afterwards the
// connection is dropped if the reply had not come whole, so that a late reply is never taken for
// another call's. What Redis says is not believed here: the caller checks the bytes. Errors:
// deadline_exceeded, unavailable, resource_exhausted (Redis is full, or the value larger than
// allowed), data_corrupt (another kind of reply than the call has).
// Threading: one thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/outcome.hpp"

namespace troupe {

class redis_store {
 public:
  virtual ~redis_store() = default;
  virtual result<std::optional<std::string>> get(std::string_view name) = 0;
  virtual status set(std::string_view name, std::string_view value, std::chrono::seconds ttl) = 0;
  virtual result<std::uint64_t> entries() = 0;  // of the whole database
};

struct redis_limits {
  std::chrono::milliseconds call_wait{50};
  std::uint64_t value_bytes_max = 4u << 20;
};

// address: "HOST:PORT" or "unix:/path". Connects at the first call.
result<std::unique_ptr<redis_store>> make_redis_store(std::string_view address,
                                                      const redis_limits& limits);

}  // namespace troupe
