// Who comes next among tenants: each has a count of the tokens that were computed for it, and the
// one with the smallest count goes first.
//
// A tenant that comes (again) starts at the smallest count of those that are here, or at its own
// where that is higher: being away earns nothing. So over any time in which two tenants both wait,
// what they get differs by no more than what one choice can give. Source: the virtual token counter
// of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024). Pure; one thread.
// Memory: the tenants here, and `kept` that are away and had more than the least of those here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

namespace troupe {

class fair_share {
 public:
  explicit fair_share(std::size_t kept) : kept_(kept) {}

  // A sequence of the tenant is here; it has gone.
  void join(const std::string& tenant) {
    entry& e = tenants_[tenant];
    if (e.here == 0) e.served = std::max(e.served, least_here());
    ++e.here;
  }
  void leave(const std::string& tenant) {
    entry& e = tenants_.at(tenant);
    if (--e.here > 0) return;
    const std::uint64_t least = least_here();
    const bool nobody = least == 0 && std::none_of(tenants_.begin(), tenants_.end(), is_here);
    std::erase_if(tenants_, [&](const auto& other) {
      return other.second.here == 0 && (nobody || other.second.served <= least);
    });
    if (tenants_.size() > kept_) forget_one();
  }

  void charge(const std::string& tenant, std::uint64_t tokens) {
    tenants_.at(tenant).served += tokens;
  }
  std::uint64_t served(const std::string& tenant) const { return tenants_.at(tenant).served; }
  std::size_t size() const { return tenants_.size(); }

 private:
  struct entry {
    std::uint64_t served = 0;
    std::uint32_t here = 0;  // sequences
  };
  static bool is_here(const std::pair<const std::string, entry>& tenant) {
    return tenant.second.here > 0;
  }
  std::uint64_t least_here() const {
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    for (const auto& tenant : tenants_)
      if (is_here(tenant)) least = std::min(least, tenant.second.served);
    return least == std::numeric_limits<std::uint64_t>::max() ? 0 : least;
  }
  void forget_one() {
    auto least = tenants_.end();
    for (auto at = tenants_.begin(); at != tenants_.end(); ++at)
      if (!is_here(*at) && (least == tenants_.end() || at->second.served < least->second.served))
        least = at;
    if (least != tenants_.end()) tenants_.erase(least);
  }

  std::size_t kept_;
  std::map<std::string, entry> tenants_;
};

}  // namespace troupe
