#include "tools/chaos/cluster_run.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cluster/client/chaos.hpp"
#include "tools/chaos/carrying.hpp"
#include "tools/chaos/cluster_view.hpp"

namespace troupe::chaos {
namespace {

using client::node_fault;
using std::chrono::steady_clock;

constexpr milliseconds token_wait{120'000};
constexpr milliseconds added_delay{40};
constexpr milliseconds slack{300};  // a node begins a little after it has said yes

std::optional<node_fault> done_by_nodes(fault_kind kind) {
  switch (kind) {
    case fault_kind::pause:
      return node_fault::pause;
    case fault_kind::partition:
      return node_fault::partition;
    case fault_kind::delay:
      return node_fault::slow;
    case fault_kind::kill:
      return node_fault::crash;
    case fault_kind::stop:
      return node_fault::restart;
    default:
      return std::nullopt;
  }
}

bool ends_process(fault_kind kind) {
  return kind == fault_kind::kill || kind == fault_kind::stop;
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text)
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  return out;
}

class asking_hands final : public fault_hands {
 public:
  asking_hands(std::map<std::string, std::string> addresses, const std::atomic<bool>& ended)
      : addresses_(std::move(addresses)), ended_(ended) {}

  bool begin(const fault& what) override {
    client::fault_wish wish;
    wish.kind = *done_by_nodes(what.kind);
    wish.lasts = what.ends - what.begins;
    wish.delay = what.kind == fault_kind::delay ? added_delay : milliseconds(0);
    const status begun = client::begin_fault(addresses_.at(what.node), what.node, wish);
    if (!begun) {
      declined_.push_back(std::string(name_of(what.kind)) + " at " + what.node + ": " +
                          begun.failure().message);
      return false;
    }
    over_at_[what.node] = steady_clock::now() + wish.lasts + slack;
    return true;
  }

  // The node ends it; only who is interrupted asks for that.
  void end(const fault& what) override {
    if (ends_process(what.kind)) return;
    while (steady_clock::now() < over_at_[what.node] && !ended_)
      std::this_thread::sleep_for(milliseconds(2));
    if (ended_) (void)client::end_fault(addresses_.at(what.node), what.node).ok();
  }

  std::vector<std::string> declined() const { return declined_; }

 private:
  std::map<std::string, std::string> addresses_;
  std::map<std::string, steady_clock::time_point> over_at_;
  std::vector<std::string> declined_;
  const std::atomic<bool>& ended_;
};

// The address of each node of the plan.
result<std::map<std::string, std::string>> addresses_of(const chaos_plan& plan,
                                                        const std::vector<seen_node>& nodes) {
  std::map<std::string, std::string> out;
  std::string known;
  for (const seen_node& node : nodes) known += (known.empty() ? "" : ", ") + node.name;
  for (const node_plan& wanted : plan.nodes) {
    const auto found = std::find_if(nodes.begin(), nodes.end(),
                                    [&](const seen_node& n) { return n.name == wanted.name; });
    if (found == nodes.end() || !found->up || found->address.empty())
      return error{error_code::not_found, "the cluster has no node " + wanted.name + " that is up",
                   "it has " + known};
    out[wanted.name] = found->address;
  }
  return out;
}

// Whether the nodes let the plan be done; tells the plan who computes.
status ask_leave(chaos_plan& plan, const std::map<std::string, std::string>& addresses) {
  std::set<std::string> broken, ended;
  for (const fault_plan& wish : plan.faults) {
    if (hits_client(wish.kind)) continue;
    if (!done_by_nodes(wish.kind))
      return error{error_code::unsupported,
                   "no node does a " + std::string(name_of(wish.kind)) + " to itself",
                   "troupe chaos local does it to daemons of its own"};
    broken.insert(wish.nodes.begin(), wish.nodes.end());
    if (ends_process(wish.kind)) ended.insert(wish.nodes.begin(), wish.nodes.end());
  }
  for (node_plan& node : plan.nodes) {
    const auto leave = client::read_chaos(addresses.at(node.name));
    if (!leave) return leave.failure();
    node.computes = leave->computes;
    if (broken.contains(node.name) && !leave->enabled)
      return error{error_code::permission_denied, "node " + node.name + " does not allow chaos",
                   "set chaos.enabled for it, if it may be broken on purpose"};
    if (ended.contains(node.name) && !leave->supervised)
      return error{error_code::permission_denied,
                   "node " + node.name + " is not supervised: it would stay down",
                   "set chaos.supervised where something starts it again"};
  }
  return {};
}

// What the cluster answers while nothing is done to it.
result<std::vector<right_answer>> undisturbed(client::cluster& cluster, const workload_plan& load,
                                              const std::string& model,
                                              const std::atomic<bool>& ended) {
  std::vector<right_answer> out;
  for (std::uint32_t prompt = 0; prompt < load.prompts && !ended; ++prompt) {
    client::job job = job_for(load, model, prompt);
    job.cache_bypass = true;
    auto stream = cluster.submit(job);
    if (!stream) return stream.failure();
    right_answer right;
    for (;;) {
      const auto next = (*stream)->next(token_wait);
      if (!next) return next.failure();
      if (!*next) break;
      right.ids.push_back((*next)->id);
      right.text += (*next)->text;
    }
    const client::report& told = (*stream)->summary();
    right.text += told.text_tail;
    if (told.failure) return *told.failure;
    out.push_back(std::move(right));
  }
  if (ended) return error{error_code::cancelled, "it was interrupted before the first fault", {}};
  return out;
}

}  // namespace

result<run_report> run_in_cluster(const cluster_wish& wish, const std::atomic<bool>& ended) {
  run_report report;
  report.plan = wish.plan;
  auto cluster = client::cluster::connect(wish.at);
  if (!cluster) return cluster.failure();
  const std::vector<seen_node> nodes = nodes_of(**cluster);
  const auto addresses = addresses_of(report.plan, nodes);
  if (!addresses) return addresses.failure();
  if (status leave = ask_leave(report.plan, *addresses); !leave) return leave.failure();
  std::string model = wish.model;
  for (const seen_node& node : nodes)
    if (model.empty() && !node.models_ready.empty()) model = node.models_ready.front();
  auto answers = undisturbed(**cluster, report.plan.workload, model, ended);
  if (!answers) return answers.failure();
  report.run.answers = std::move(*answers);
  const std::uint64_t fenced_before = frames_fenced(**cluster);
  asking_hands hands(*addresses, ended);
  workload load(report.plan.workload, model, parts_of(wish.at));
  carry_out_under_load(schedule_of(report.plan, care::somebody), hands, load, ended, report);
  report.run.gateways = report.plan.workload.gateways;
  report.declined = hands.declined();
  report.judged = judge(report.run, report.plan.floors);
  const std::uint64_t fenced = frames_fenced(**cluster);
  report.frames_fenced = fenced - std::min(fenced, fenced_before);
  return report;
}

}  // namespace troupe::chaos
