#include "cluster/node/peer_keys.hpp"

#include <spdlog/spdlog.h>

namespace troupe::cluster {
namespace {

constexpr milliseconds look_at_list_every{500};

}  // namespace

peer_keys::peer_keys(const node_settings& settings)
    : name_(settings.name),
      encrypts_(settings.encrypts),
      place_(settings.keys),
      peers_(settings.peers) {}

status peer_keys::read(link::link_security& into) {
  if (!encrypts_) return {};
  result<keys::key_pair> own = keys::read_key_file(place_.key_file);
  if (!own) return own.failure();
  watch_.emplace(place_.allow_file);
  result<keys::allow_list> allowed = keys::read_allow_file(place_.allow_file);
  if (!allowed) return allowed.failure();
  allowed_ = *allowed;
  if (allowed_.all().empty())
    spdlog::warn("allow_list_empty file={} mend=troupe keys allow, or troupe cluster invite",
                 place_.allow_file.string());
  into.own = *own;
  into.allowed = std::move(*allowed);
  return {};
}

status peer_keys::dial(link::endpoint& link) {
  std::map<std::string, keys::public_key> wanted;
  for (const std::string& address : peers_) {
    const keys::allowed_key* known = allowed_.at(address);
    wanted[address] = known ? known->key : keys::public_key();
  }
  for (const keys::allowed_key& one : allowed_.all())
    if (!one.address.empty() && one.name != name_) wanted[one.address] = one.key;
  for (auto old = dialled_.begin(); old != dialled_.end();) {
    const auto still = wanted.find(old->first);
    const bool stays = still != wanted.end() && still->second == old->second;
    if (!stays) link.disconnect(old->first);
    old = stays ? std::next(old) : dialled_.erase(old);
  }
  for (const auto& [address, key] : wanted) {
    if (dialled_.contains(address)) continue;
    status dialled = link.connect(address);
    if (dialled) {
      dialled_[address] = key;
      continue;
    }
    if (dialled.failure().code != error_code::not_found) return dialled;
    spdlog::warn("peer_not_dialled address={} why={}", address, dialled.failure().text());
  }
  return {};
}

milliseconds peer_keys::look_every() const {
  return encrypts_ ? look_at_list_every : milliseconds(3'600'000);
}

void peer_keys::follow(link::endpoint& link) {
  if (!watch_ || !watch_->changed()) return;
  result<keys::allow_list> allowed = keys::read_allow_file(place_.allow_file);
  if (!allowed) {
    spdlog::error("allow_list_refused, the last one stays in force: {}", allowed.failure().text());
    return;
  }
  allowed_ = std::move(*allowed);
  spdlog::info("allow_list_taken file={} keys={}", place_.allow_file.string(),
               allowed_.all().size());
  link.allow(allowed_);
  if (const status dialled = dial(link); !dialled)
    spdlog::error("peer_not_dialled why={}", dialled.failure().text());
}

}  // namespace troupe::cluster
