// Who asks, and whether they may: keys, scopes, and where there are no keys, this machine alone.
//
// Everything is refused but what a route's row allows. Whoever shows no key that is known learns
// nothing: the refusal is the same whatever was asked for. Threading: none; pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "cluster/http/api_error.hpp"
#include "cluster/http/api_keys.hpp"
#include "cluster/http/request_reader.hpp"
#include "cluster/http/routes.hpp"

namespace troupe::http {

// Why a request was turned away before anything was done for it; metrics count each.
enum class refusal_reason : std::size_t {
  no_key,
  wrong_key,
  scope,
  not_owner,  // a long job of another key
  host,
  origin,
  queue_full,
  client_full,
  draining,
  connections
};
inline constexpr std::array<std::string_view, 10> refusal_names = {
    "no_key", "wrong_key",  "scope",       "not_owner", "host",
    "origin", "queue_full", "client_full", "draining",  "connections"};

struct caller {
  std::string client;  // whose share requests count to: "key-NAME", or the address
  std::string key;     // the key's name; empty: none was shown
  scope_set scopes;
  bool without_keys = false;  // none are asked for: this machine may do everything

  bool may(scope one) const { return without_keys || scopes.has(one); }
  // A long job that the key `owner` submitted.
  bool may_touch_job_of(const std::string& owner) const {
    return may(scope::ops) || (may(scope::submitter) && !key.empty() && owner == key);
  }
};

struct refused {
  refusal_reason reason;
  api_error why;
  std::string who;  // for the audit log: "key:NAME" or "http:ADDRESS"
};

// to: null where there is no such route; that is told only to those who are known.
// keys: null where none are asked for.
std::variant<caller, refused> admitted(const http_request& request, const route* to,
                                       const std::string& address, const key_list* keys);

}  // namespace troupe::http
