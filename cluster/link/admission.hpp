// Who may be whom on an encrypted link. Pure.
//
// The sockets prove that a channel's other end holds a key. What that key may say is decided here,
// and looked up anew at each greeting, so that a changed list counts at once.
//
//   the key is                greets as a node          greets as a client
//   a listed node's           under its own name only   as any client
//   a listed client's         never                     as any client
//   our own                   never                     as any client
//   of a dialled address      under any name            as any client
//     (given without a name)
//   none of these             never                     never
//
// A client's name begins with keys::client_prefix; while a session under it lives, no other key may
// use it (peering_core).
#pragma once

#include <map>
#include <string>

#include "cluster/keys/allow_list.hpp"
#include "proto/link.pb.h"

namespace troupe::link {

struct link_security {
  keys::key_pair own;  // empty: the link is not encrypted, and serves loopback only
  keys::allow_list allowed;
  // Keys of addresses ("tcp://HOST:PORT") that are dialled, where the list does not name them.
  std::map<std::string, keys::public_key> servers;

  bool on() const { return !own.empty(); }
  // The key that has to answer there; empty: not known.
  keys::public_key server_at(const std::string& address) const;
};

struct credential {
  enum class standing { open, stranger, client, node };
  standing what = standing::open;  // open: the link has no keys, and anybody may be anybody
  keys::public_key key;
  std::string name;  // of a node; empty: any
};

// dialled: we connected to the holder of the key.
credential credential_of(const link_security& security, const keys::public_key& key, bool dialled);

// Why the holder may not greet so; empty: it may.
std::string objection(const credential& holder, const std::string& name, bool as_client);

}  // namespace troupe::link
