#include "cluster/client/link_keys.hpp"

#include "cluster/keys/allow_file.hpp"
#include "cluster/keys/key_file.hpp"

namespace troupe::client {
namespace {

bool on_this_machine(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

}  // namespace

result<link::link_security> link_keys(const connect_options& options,
                                      const std::vector<std::string>& addresses) {
  link::link_security out;
  if (options.key_file.empty()) {
    if (!options.server_key.empty() || !options.allow_file.empty())
      return error{error_code::invalid_argument, "keys of nodes are given, but no key file",
                   "name the file of this side's own key pair, too (`troupe keys make`)"};
    return out;
  }
  const std::filesystem::path key_file = options.key_file;
  result<keys::key_pair> own = keys::read_key_file(key_file);
  if (!own) return own.failure();
  out.own = *own;
  const std::filesystem::path listed = options.allow_file.empty()
                                           ? key_file.parent_path() / "allowed"
                                           : std::filesystem::path(options.allow_file);
  result<keys::allow_list> allowed = keys::read_allow_file(listed);
  if (!allowed) return allowed.failure();
  out.allowed = std::move(*allowed);
  keys::public_key server;
  if (!options.server_key.empty()) {
    const auto given = keys::public_key::parse(options.server_key);
    if (!given)
      return error{error_code::invalid_argument, "the server key is no public key",
                   "64 hexadecimal digits; `troupe keys show` prints it at the node"};
    server = *given;
  }
  for (const std::string& address : addresses) {
    const std::string whole = "tcp://" + address;
    if (!server.empty())
      out.servers[whole] = server;
    else if (!out.allowed.at(whole) && on_this_machine(address))
      out.servers[whole] = out.own.shown;
    else if (!out.allowed.at(whole))
      return error{error_code::not_found, "no key is known for the node at " + address,
                   "give it with --server-key, or list it in " + listed.string() +
                       " (`troupe keys allow NAME KEY --address " + address + "`)"};
  }
  return out;
}

}  // namespace troupe::client
