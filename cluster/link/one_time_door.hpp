// A door of its own for one guest: requests and replies over CURVE with keys that both sides made
// from a shared code, apart from the link and its keys.
//
// Whoever does not have the code has neither the door's key nor the guest's, and gets no word in or
// out. Threading: one thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

struct door_keys {
  keys::key_pair door, guest;
};

inline constexpr std::size_t door_bytes_max = 1u << 20;  // of a request, and of a reply

class one_time_door {
 public:
  // listen: "tcp://HOST:PORT"; port 0 takes a free one. Errors as endpoint::open.
  static result<std::unique_ptr<one_time_door>> open(const std::string& listen,
                                                     const door_keys& keys);
  virtual ~one_time_door() = default;
  virtual std::string address() const = 0;
  // Answers what comes within the time; returns early after one answer, or one failed knock.
  virtual void serve(std::chrono::milliseconds most,
                     const std::function<std::string(std::string_view request)>& answer) = 0;
  // How often somebody came with keys of another code.
  virtual unsigned wrong_knocks() const = 0;
};

// One request at such a door. permission_denied: the door is of another code; unavailable: nobody
// answers in time.
result<std::string> knock(const std::string& address, const door_keys& keys,
                          const std::string& request, std::chrono::milliseconds wait_max);

}  // namespace troupe::link
