#include "cluster/http/admission.hpp"

namespace troupe::http {
namespace {

constexpr std::string_view bearer = "Bearer ";
constexpr const char* key_wanted =
    "an API key is needed; send \"Authorization: Bearer KEY\" with a key of http.api_key_file";

// Without keys only this machine is served; a web page that a browser here shows must not speak to
// it under another name (DNS rebinding) or from another origin.
std::variant<caller, refused> from_this_machine(const http_request& request,
                                                const std::string& address) {
  const auto no = [&](refusal_reason reason, const std::string& why) {
    return refused{reason, wrong_request(403, why), "http:" + address};
  };
  if (!request.path.starts_with("/") && request.path != "*")
    return no(refusal_reason::host, "the request names a whole address; send the path alone");
  if (!names_loopback(request.host))
    return no(refusal_reason::host, "the Host header names \"" + request.host.substr(0, 128) +
                                        "\"; use 127.0.0.1 or localhost, or set http.api_key_file");
  const std::size_t scheme = request.origin.find("://");
  if (!request.origin.empty() &&
      (scheme == std::string::npos || !names_loopback(request.origin.substr(scheme + 3))))
    return no(refusal_reason::origin, "pages of " + request.origin.substr(0, 128) +
                                          " are not served without http.api_key_file");
  return caller{address, {}, {}, true};
}

}  // namespace

std::variant<caller, refused> admitted(const http_request& request, const route* to,
                                       const std::string& address, const key_list* keys) {
  if (!keys) return from_this_machine(request, address);
  const bool shown = request.authorization.starts_with(bearer);
  const api_key* key =
      shown ? keys->find(std::string_view(request.authorization).substr(bearer.size())) : nullptr;
  if (!key) {
    if (to && to->needs.is_open()) return caller{address, {}, {}, false};
    return refused{shown ? refusal_reason::wrong_key : refusal_reason::no_key,
                   wrong_request(401, key_wanted), "http:" + address};
  }
  caller who{"key-" + key->name, key->name, key->scopes, false};
  if (to && !to->needs.allows(key->scopes))
    return refused{
        refusal_reason::scope,
        wrong_request(403, "this needs a key with the scope " + text_of(to->needs.scopes()) +
                               "; key " + key->name + " has " + text_of(key->scopes)),
        "key:" + key->name};
  return who;
}

}  // namespace troupe::http
