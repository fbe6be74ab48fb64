// Makes and checks CurveZMQ key pairs, without showing ZeroMQ.
#pragma once

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

// unsupported: this ZeroMQ was built without CURVE.
result<keys::key_pair> make_key_pair();
// The pair that a secret belongs to.
result<keys::key_pair> pair_of(const keys::secret_key& secret);
// data_corrupt where the two keys do not belong together.
status check_key_pair(const keys::key_pair& pair);

}  // namespace troupe::link
