#include "cluster/link/curve.hpp"

#include <algorithm>
#include <cstring>

#include "cluster/link/curve_sockets.hpp"

namespace troupe::link {
namespace {

constexpr std::size_t z85_size = 41;  // with its end
constexpr const char* zap_domain = "troupe";
// ZMQ_ZAP_ENFORCE_DOMAIN, which zmq.h shows with its drafts only: ZeroMQ's own word for "nobody
// without the gatekeeper". Where a build does not know it, prove_gate and bearer_of stand alone.
constexpr int enforce_domain_option = 93;

error no_curve() {
  return {error_code::unsupported, "this ZeroMQ cannot encrypt (it was built without CURVE)",
          "install a libzmq with libsodium"};
}

template <class Key>
result<Key> key_from_z85(const char* text) {
  std::array<std::uint8_t, keys::key_bytes> bytes{};
  if (!zmq_z85_decode(bytes.data(), text)) return no_curve();
  return Key(bytes);
}

template <class Key>
void set_key(zmq::socket_t& socket, int option, const Key& key) {
  if (zmq_setsockopt(socket.handle(), option, key.bytes().data(), keys::key_bytes) != 0)
    throw zmq::error_t();
}

}  // namespace

result<keys::key_pair> make_key_pair() {
  char shown[z85_size] = {}, kept[z85_size] = {};
  if (zmq_curve_keypair(shown, kept) != 0) return no_curve();
  const auto open = key_from_z85<keys::public_key>(shown);
  const auto secret = key_from_z85<keys::secret_key>(kept);
  std::fill_n(static_cast<volatile char*>(kept), z85_size, '\0');
  if (!open || !secret) return no_curve();
  return keys::key_pair{*open, *secret};
}

result<keys::key_pair> pair_of(const keys::secret_key& secret) {
  char shown[z85_size] = {}, kept[z85_size] = {};
  if (!zmq_z85_encode(kept, secret.bytes().data(), keys::key_bytes)) return no_curve();
  const int made = zmq_curve_public(shown, kept);
  std::fill_n(static_cast<volatile char*>(kept), z85_size, '\0');
  if (made != 0) return no_curve();
  const auto open = key_from_z85<keys::public_key>(shown);
  if (!open) return open.failure();
  return keys::key_pair{*open, secret};
}

status check_key_pair(const keys::key_pair& pair) {
  const auto real = pair_of(pair.kept);
  if (!real) return real.failure();
  if (real->shown == pair.shown) return {};
  return error{error_code::data_corrupt, "the public key is not that of the secret key beside it",
               "make a new pair with `troupe keys make`"};
}

void serve_encrypted(zmq::socket_t& socket, const keys::key_pair& own) {
  socket.set(zmq::sockopt::curve_server, true);
  set_key(socket, ZMQ_CURVE_SECRETKEY, own.kept);
  socket.set(zmq::sockopt::zap_domain, zap_domain);
  const int enforced = 1;
  zmq_setsockopt(socket.handle(), enforce_domain_option, &enforced, sizeof enforced);
}

void dial_encrypted(zmq::socket_t& socket, const keys::key_pair& own,
                    const keys::public_key& server) {
  set_key(socket, ZMQ_CURVE_PUBLICKEY, own.shown);
  set_key(socket, ZMQ_CURVE_SECRETKEY, own.kept);
  set_key(socket, ZMQ_CURVE_SERVERKEY, server);
}

keys::public_key bearer_of(zmq::message_t& frame) {
  const char* id = zmq_msg_gets(frame.handle(), "User-Id");
  const auto key = id ? keys::public_key::parse(id) : std::nullopt;
  return key.value_or(keys::public_key());
}

}  // namespace troupe::link
