// Who may connect: the public keys that a node (or client) knows, with names and roles. Pure.
//
//   # a comment
//   node   mainpc 5f0a...c1  tcp://192.168.1.10:7411
//   client laptop 09be...77
//
// ROLE NAME KEY and, of a node that is to be dialled, ADDRESS. A name may have several keys of one
// role, so that a key can be changed while the old one is in use. A key is there once.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::keys {

inline constexpr std::size_t allowed_keys_max = 4096;
inline constexpr std::string_view client_prefix =
    "client-";  // of the names that clients greet with

enum class key_role { node, client };
std::string_view name_of(key_role role);

struct allowed_key {
  key_role role = key_role::node;
  std::string name;  // 1 to 64 of A-Z a-z 0-9 . _ -; a node's does not begin with client_prefix
  public_key key;
  std::string address;  // "tcp://HOST:PORT"; empty: not to be dialled

  bool operator==(const allowed_key&) const = default;
};

class allow_list {
 public:
  const std::vector<allowed_key>& all() const { return all_; }
  // nullptr: not listed.
  const allowed_key* find(const public_key& key) const;
  const allowed_key* at(std::string_view address) const;
  // invalid_argument: a form does not hold; already_exists: the key is listed, or the name has
  // another role, or the address another key; resource_exhausted.
  status add(allowed_key entry);

 private:
  std::vector<allowed_key> all_;
  std::map<public_key, std::size_t> by_key_;
};

// Refused as a whole (invalid_argument), with a line "FILE:LINE: what" for each mistake.
result<allow_list> parse_allow_list(std::string_view text, std::string_view shown);
std::string line_of(const allowed_key& entry);

// "HOST:PORT" or "tcp://HOST:PORT" as tcp://HOST:PORT; empty where it is neither.
std::string address_form(std::string_view address);
// "tcp://*:7411", "tcp://0.0.0.0:7411": every address of a machine, and none to dial.
bool names_no_host(std::string_view address);

// The text with one entry more; its other lines stay as they are. The same key under the same name
// and role is replaced.
result<std::string> with_entry(const std::string& text, std::string_view shown,
                               const allowed_key& entry);
// The text without the lines of that name or key; not_found: there is none.
result<std::string> without_entry(const std::string& text, std::string_view shown,
                                  std::string_view name_or_key);

}  // namespace troupe::keys
