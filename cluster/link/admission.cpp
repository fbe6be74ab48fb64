#include "cluster/link/admission.hpp"

#include <algorithm>

namespace troupe::link {

keys::public_key link_security::server_at(const std::string& address) const {
  if (const auto given = servers.find(address); given != servers.end()) return given->second;
  const keys::allowed_key* known = allowed.at(address);
  return known ? known->key : keys::public_key();
}

credential credential_of(const link_security& security, const keys::public_key& key, bool dialled) {
  using enum credential::standing;
  if (!security.on()) return {};
  if (key.empty()) return {stranger, key, {}};
  if (const keys::allowed_key* known = security.allowed.find(key))
    return {known->role == keys::key_role::node ? node : client, key, known->name};
  const bool given = dialled && std::any_of(security.servers.begin(), security.servers.end(),
                                            [&](const auto& one) { return one.second == key; });
  if (given) return {node, key, {}};
  return {key == security.own.shown ? client : stranger, key, {}};
}

std::string objection(const credential& holder, const std::string& name, bool as_client) {
  using enum credential::standing;
  if (holder.what == open) return {};
  if (holder.what == stranger) return "the key is not listed here";
  if (as_client)
    return name.starts_with(keys::client_prefix)
               ? std::string()
               : "a client's name begins with " + std::string(keys::client_prefix);
  if (holder.what == client) return "the key is listed for a client here, not for a node";
  if (holder.name.empty() || holder.name == name) return {};
  return "the key is listed for " + holder.name + " here, not for " + name;
}

}  // namespace troupe::link
