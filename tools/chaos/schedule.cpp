#include "tools/chaos/schedule.hpp"

#include <algorithm>
#include <random>

namespace troupe::chaos {
namespace {

constexpr milliseconds later_by{100};
constexpr milliseconds clock_step_by{60'000};

struct bounds {
  std::size_t out_max = 0;
  std::vector<std::string> workers;  // of which one stays; empty: none must
};

bounds bounds_of(const chaos_plan& plan, care taken) {
  bounds out{plan.nodes.size() / 2, {}};
  if (taken == care::ours) return out.out_max = std::max<std::size_t>(1, out.out_max), out;
  for (const node_plan& node : plan.nodes)
    if (node.computes) out.workers.push_back(node.name);
  return out;
}

bool overlap(const fault& a, const fault& b) {
  return a.begins < b.ends && b.begins < a.ends;
}

bool fits(const fault& wished, const std::vector<fault>& others, const bounds& within) {
  std::size_t out = 0, workers_out = 0;
  const auto works = [&](const std::string& node) {
    return std::find(within.workers.begin(), within.workers.end(), node) != within.workers.end();
  };
  for (const fault& other : others) {
    if (!overlap(wished, other)) continue;
    if (other.node == wished.node) return false;
    out += takes_out(other.kind);
    workers_out += takes_out(other.kind) && works(other.node);
  }
  if (!takes_out(wished.kind)) return true;
  return out < within.out_max && (!works(wished.node) || workers_out + 1 < within.workers.size());
}

}  // namespace

std::vector<fault> schedule_of(const chaos_plan& plan, care taken) {
  std::mt19937_64 random(plan.seed);
  const bounds within = bounds_of(plan, taken);
  std::vector<fault> all;
  for (const fault_plan& wish : plan.faults) {
    milliseconds at = wish.first;
    while (at < plan.lasts) {
      fault next;
      next.kind = wish.kind;
      if (!wish.nodes.empty()) next.node = wish.nodes[random() % wish.nodes.size()];
      milliseconds lasts = wish.lasts;
      if (wish.lasts_max > lasts)
        lasts += milliseconds(random() %
                              (static_cast<std::uint64_t>((wish.lasts_max - lasts).count()) + 1));
      if (wish.kind == fault_kind::clock_step)
        next.step = random() % 2 == 0 ? clock_step_by : -clock_step_by;
      next.begins = at;
      next.ends = at + lasts;
      while (next.ends <= plan.lasts && !fits(next, all, within)) {
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
