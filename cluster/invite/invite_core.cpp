#include "cluster/invite/invite_core.hpp"

#include <algorithm>

namespace troupe::invite {
namespace {

std::string refusal(const std::string& why) {
  proto::ClusterJoined reply;
  reply.set_refusal(why);
  return reply.SerializeAsString();
}

std::string port_of(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}

bool can_be_listed(const keys::allowed_key& entry) {
  keys::allow_list alone;
  return alone.add(entry).ok();
}

}  // namespace

proto::ListedKey message_of(const keys::allowed_key& entry) {
  proto::ListedKey out;
  out.set_role(entry.role == keys::key_role::node ? proto::ListedKey::NODE
                                                  : proto::ListedKey::CLIENT);
  out.set_name(entry.name);
  const auto& bytes = entry.key.bytes();
  out.set_key(std::string(bytes.begin(), bytes.end()));
  out.set_address(entry.address);
  return out;
}

std::optional<keys::allowed_key> entry_of(const proto::ListedKey& message) {
  if (message.key().size() != keys::key_bytes) return std::nullopt;
  std::array<std::uint8_t, keys::key_bytes> bytes{};
  std::copy(message.key().begin(), message.key().end(), bytes.begin());
  keys::allowed_key out{
      message.role() == proto::ListedKey::CLIENT ? keys::key_role::client : keys::key_role::node,
      message.name(), keys::public_key(bytes), message.address()};
  if (!can_be_listed(out)) return std::nullopt;
  return out;
}

std::string request_of(const keys::allowed_key& guest) {
  proto::JoinCluster out;
  *out.mutable_guest() = message_of(guest);
  return out.SerializeAsString();
}

bool invite_core::over(std::chrono::milliseconds since_start, unsigned wrong_knocks) const {
  return since_start >= terms_.open_for || wrong_knocks >= terms_.wrong_knocks_max;
}

invite_core::decision invite_core::answer(std::string_view request, const keys::allow_list& known,
                                          std::chrono::milliseconds since_start) {
  proto::JoinCluster join;
  const bool parsed = join.ParseFromArray(request.data(), static_cast<int>(request.size()));
  const auto guest = parsed && join.has_guest() ? entry_of(join.guest()) : std::nullopt;
  if (!guest) return {refusal("the request is not whole"), {}};
  if (used())
    return {guest->key == guest_ ? reply_ : refusal("the invitation has been used already"), {}};
  if (over(since_start, 0)) return {refusal("the invitation is over"), {}};
  if (guest->role != terms_.role)
    return {refusal("the invitation is for a " + std::string(keys::name_of(terms_.role))), {}};
  if (guest->name == terms_.host.name || guest->key == terms_.host.key)
    return {refusal("name or key is the host's own"), {}};
  const keys::allowed_key* same = known.find(guest->key);
  const bool again = same && same->name == guest->name && same->role == guest->role;
  const auto& all = known.all();
  const bool name_taken = std::any_of(all.begin(), all.end(), [&](const keys::allowed_key& one) {
    return one.name == guest->name && one.key != guest->key;
  });
  if (name_taken)
    return {
        refusal("the name " + guest->name + " is listed with another key; revoke that one first"),
        {}};
  if (!again) {
    keys::allow_list with = known;
    if (status added = with.add(*guest); !added) return {refusal(added.failure().text()), {}};
  }
  proto::ClusterJoined reply;
  *reply.mutable_host() = message_of(terms_.host);
  for (const keys::allowed_key& one : all) {
    const bool needed = terms_.role == keys::key_role::node || one.role == keys::key_role::node;
    if (needed && one.key != guest->key && one.name != terms_.host.name)
      *reply.add_others() = message_of(one);
  }
  guest_ = guest->key;
  reply_ = reply.SerializeAsString();
  return {reply_, guest};
}

std::string invite_core::not_listed(const std::string& why) {
  guest_ = {};
  return refusal(why);
}

result<std::vector<keys::allowed_key>> listed_by_guest(std::string_view reply,
                                                       const keys::allowed_key& guest,
                                                       const std::string& came_by) {
  proto::ClusterJoined joined;
  if (!joined.ParseFromArray(reply.data(), static_cast<int>(reply.size())))
    return error{error_code::data_corrupt, "the host's reply cannot be read",
                 "are both of the same version?"};
  if (!joined.refusal().empty())
    return error{error_code::permission_denied, "the host refused: " + joined.refusal(),
                 "ask for a new invitation (`troupe cluster invite`)"};
  auto* host_message = joined.mutable_host();
  if (keys::names_no_host(host_message->address())) {
    const std::string came = keys::address_form(came_by);
    host_message->set_address(came.substr(0, came.rfind(':') + 1) +
                              port_of(host_message->address()));
  }
  std::vector<keys::allowed_key> out;
  const auto host = entry_of(*host_message);
  if (!host)
    return error{error_code::data_corrupt, "the host's reply names no host",
                 "are both of the same version?"};
  out.push_back(*host);
  for (const proto::ListedKey& one : joined.others()) {
    const auto entry = entry_of(one);
    if (entry && entry->key != guest.key && entry->name != guest.name) out.push_back(*entry);
  }
  return out;
}

}  // namespace troupe::invite
