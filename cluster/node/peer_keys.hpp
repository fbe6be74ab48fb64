// A node's keys and whom it dials: read at the start, and the allow list followed while it runs.
//
// Dialled are membership.peers and the nodes whose address the allow list has. With keys, a peer
// whose key is not listed is dialled once it is. A list that cannot be read leaves the last one in
// force. Threading: one thread at a time.
#pragma once

#include <map>
#include <optional>

#include "cluster/keys/allow_file.hpp"
#include "cluster/node/node_settings.hpp"

namespace troupe::cluster {

class peer_keys {
 public:
  explicit peer_keys(const node_settings& settings);

  // Without link.security nothing is read. Errors say which file, and how to mend it.
  status read(link::link_security& into);
  status dial(link::endpoint& link);
  milliseconds look_every() const;
  // Looks at the file, and tells the link where it has changed.
  void follow(link::endpoint& link);

 private:
  std::string name_;
  bool encrypts_;
  keys::key_place place_;
  std::vector<std::string> peers_;
  std::optional<keys::allow_watch> watch_;
  keys::allow_list allowed_;
  std::map<std::string, keys::public_key> dialled_;  // by address
};

}  // namespace troupe::cluster
