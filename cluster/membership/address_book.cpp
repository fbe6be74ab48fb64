#include "cluster/membership/address_book.hpp"

#include <algorithm>
#include <utility>

#include "cluster/keys/allow_list.hpp"

namespace troupe::cluster {

address_book::address_book(std::string self, std::vector<std::string> configured)
    : self_(std::move(self)), configured_(configured.begin(), configured.end()) {}

bool address_book::worth_dialling(const known_node& one) const {
  return !one.name.empty() && one.name != self_ && one.address.starts_with("tcp://") &&
         one.address.size() <= address_bytes_max && one.address != own_address_ &&
         !keys::names_no_host(one.address) && !configured_.contains(one.address);
}

address_book::decisions address_book::look(
    const std::vector<known_node>& mentioned,
    const std::function<bool(const std::string& name)>& is_linked,
    const std::function<bool(const std::string& address)>& in_use, time_point_us now) {
  decisions out;
  std::map<std::string, std::set<std::string>> addresses;  // of each name; more than one: doubtful
  for (const known_node& one : mentioned)
    if (worth_dialling(one)) addresses[one.name].insert(one.address);
  for (const auto& [name, all] : addresses) {
    const auto known = learnt_.find(name);
    if (known == learnt_.end()) {
      if (learnt_.size() < book_max) learnt_[name] = {*all.begin(), now, now, false};
      continue;
    }
    known->second.named = now;
    if (all.contains(known->second.address) || is_linked(name)) continue;
    if (known->second.dialled) out.hang_up.push_back(known->second.address);
    known->second = {*all.begin(), now, now, false};
  }
  for (auto at = learnt_.begin(); at != learnt_.end();) {
    auto& [name, e] = *at;
    const bool linked = is_linked(name);
    if (linked) e.named = now;
    if (now - e.named > kept_for || (given_up_.contains(name) && !linked)) {
      if (e.dialled) out.hang_up.push_back(e.address);
      at = learnt_.erase(at);
      continue;
    }
    if (!e.dialled && !linked && (self_ < name || now - e.learnt >= first_wait)) {
      e.dialled = true;
      out.dial.push_back(e.address);
    }
    ++at;
  }
  given_up_.clear();
  std::erase_if(out.hang_up, [&](const std::string& address) {
    return in_use(address) || std::any_of(learnt_.begin(), learnt_.end(), [&](const auto& other) {
             return other.second.dialled && other.second.address == address;
           });
  });
  return out;
}

}  // namespace troupe::cluster
