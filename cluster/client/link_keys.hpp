// A client's keys, from the files that its options name.
#pragma once

#include <string>
#include <vector>

#include "cluster/client/troupe.hpp"
#include "cluster/link/admission.hpp"

namespace troupe::client {

// addresses: "HOST:PORT" each. Without options.key_file: no keys. A node's own key pair may be used
// on its machine: the key of a loopback address that is not listed is taken to be that of the pair
// itself.
result<link::link_security> link_keys(const connect_options& options,
                                      const std::vector<std::string>& addresses);

}  // namespace troupe::client
