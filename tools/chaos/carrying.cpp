#include "tools/chaos/carrying.hpp"

#include <algorithm>
#include <map>
#include <thread>

namespace troupe::chaos {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds look_every{2};
constexpr milliseconds calm{30'000};  // for everybody to get an answer again

struct change {
  milliseconds at;
  bool begins;
  std::size_t fault;
};

std::vector<change> changes_of(const std::vector<fault>& faults) {
  std::vector<change> out;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    out.push_back({faults[i].begins, true, i});
    out.push_back({faults[i].ends, false, i});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const change& a, const change& b) { return a.at < b.at; });
  return out;
}

}  // namespace

std::vector<fault_story> carry_out(const std::vector<fault>& faults, milliseconds lasts,
                                   fault_hands& hands, workload& load,
                                   steady_clock::time_point began, const std::atomic<bool>& ended) {
  std::map<std::size_t, fault_story> done;
  const auto since = [&] {
    return std::chrono::duration_cast<microseconds>(steady_clock::now() - began);
  };
  const auto wait_until = [&](milliseconds at) {
    while (steady_clock::now() < began + at && !ended) std::this_thread::sleep_for(look_every);
  };
  for (const change& next : changes_of(faults)) {
    wait_until(next.at);
    const fault& f = faults[next.fault];
    if (next.begins && !ended) {
      const microseconds begun = since();
      if (hits_client(f.kind))
        load.hold(f.node, true);
      else if (!hands.begin(f))
        continue;
      done[next.fault] = {f, begun, since(), {}, {}};
    } else if (const auto begun = done.find(next.fault); !next.begins && begun != done.end()) {
      begun->second.ending = since();
      if (hits_client(f.kind))
        load.hold(f.node, false);
      else
        hands.end(f);
      begun->second.ended = since();
    }
  }
  wait_until(lasts);
  std::vector<fault_story> out;
  for (auto& [index, story] : done) out.push_back(std::move(story));
  return out;
}

void carry_out_under_load(const std::vector<fault>& faults, fault_hands& hands, workload& load,
                          const std::atomic<bool>& ended, run_report& report) {
  const auto began = steady_clock::now();
  const auto since = [&] {
    return std::chrono::duration_cast<microseconds>(steady_clock::now() - began);
  };
  load.begin(began);
  report.run.faults = carry_out(faults, report.plan.lasts, hands, load, began, ended);
  const microseconds healed = since();
  report.run.jobs = load.stop(ended ? milliseconds(0) : calm);
  report.run.lasted = since();
  report.run.streams = report.plan.workload.streams;
  if (!ended) report.run.healed = healed;
}

}  // namespace troupe::chaos
