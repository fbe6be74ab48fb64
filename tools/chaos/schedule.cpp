#include "tools/chaos/schedule.hpp"

#include <algorithm>
#include <random>

namespace troupe::chaos {
namespace {

constexpr milliseconds later_by{100};

bool overlap(const fault& a, const fault& b) {
  return a.begins < b.ends && b.begins < a.ends;
}

bool fits(const fault& wished, const std::vector<fault>& others, std::size_t out_max) {
  std::size_t out = 0;
  for (const fault& other : others) {
    if (!overlap(wished, other)) continue;
    if (other.node == wished.node) return false;
    out += takes_out(other.kind);
  }
  return !takes_out(wished.kind) || out < out_max;
}

}  // namespace

std::vector<fault> schedule_of(const chaos_plan& plan) {
  std::mt19937_64 random(plan.seed);
  const std::size_t out_max = std::max<std::size_t>(1, plan.nodes.size() / 2);
  std::vector<fault> all;
  for (const fault_plan& wish : plan.faults) {
    milliseconds at = wish.first;
    while (at < plan.lasts) {
      fault next;
      next.kind = wish.kind;
      if (!wish.nodes.empty()) next.node = wish.nodes[random() % wish.nodes.size()];
      next.begins = at;
      next.ends = at + wish.lasts;
      while (next.ends <= plan.lasts && !fits(next, all, out_max)) {
        next.begins += later_by;
        next.ends += later_by;
      }
      if (next.ends <= plan.lasts) all.push_back(next);
      if (wish.every.count() == 0) break;
      const auto spread = static_cast<std::uint64_t>(wish.every.count() / 2);
      at += wish.every - milliseconds(spread / 2) + milliseconds(random() % (spread + 1));
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const fault& a, const fault& b) { return a.begins < b.begins; });
  return all;
}

}  // namespace troupe::chaos
