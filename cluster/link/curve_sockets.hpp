// CURVE on ZeroMQ's sockets. All but the last throw zmq::error_t.
#pragma once

#include <zmq.hpp>

#include "cluster/keys/keys.hpp"
#include "cluster/link/curve.hpp"

namespace troupe::link {

// Before bind. Whom it admits is the gatekeeper's word; without one, nobody.
void serve_encrypted(zmq::socket_t& socket, const keys::key_pair& own);
// Before connect.
void dial_encrypted(zmq::socket_t& socket, const keys::key_pair& own,
                    const keys::public_key& server);
// The key that the gatekeeper admitted this frame's connection with; empty: it did not see it.
keys::public_key bearer_of(zmq::message_t& frame);

}  // namespace troupe::link
