#include "tools/chaos/local_cluster.hpp"

#include <signal.h>

#include <algorithm>
#include <cassert>
#include <fstream>

namespace troupe::chaos {
namespace {

constexpr milliseconds ready_wait{60'000};
constexpr milliseconds end_wait{10'000};
constexpr milliseconds redis_wait{5'000};
constexpr milliseconds added_delay{40};

}  // namespace

result<std::unique_ptr<local_cluster>> local_cluster::start(const chaos_plan& plan,
                                                            const std::filesystem::path& daemon,
                                                            const std::filesystem::path& model) {
  std::unique_ptr<local_cluster> cluster(new local_cluster(plan.seed));
  cluster->daemon_ = daemon;
  if (status fine = cluster->prepare(plan, model); !fine) return fine.failure();
  for (member& m : cluster->members_) cluster->launch(m);
  for (member& m : cluster->members_) {
    const auto line = m.process->line(ready_wait);
    if (!line || !line->starts_with("ready "))
      return error{error_code::unavailable,
                   "node " + m.name + " did not start: " + local::content_of(m.folder / "errors"),
                   "is " + daemon.string() + " of the same build?"};
  }
  return cluster;
}

status local_cluster::prepare(const chaos_plan& plan, const std::filesystem::path& model) {
  const error no_folder{error_code::unavailable, "no folder for the nodes could be made",
                        "set TMPDIR"};
  if (folder_.path().empty()) return no_folder;
  if (plan.redis) {
    redis_ = std::make_unique<local::redis_server>();
    if (!redis_->ready())
      return error{error_code::unavailable, "redis-server did not start: " + redis_->errors(),
                   "install redis-server, or set \"redis\": false in the plan"};
  }
  for (const node_plan& node : plan.nodes)
    members_.push_back({node.name, local::free_port(), folder_.path() / node.name, {}, {}});
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const member& m = members_[i];
    std::string peers;
    for (const member& other : members_) {
      if (other.name == m.name) continue;
      const int port = wires_.lay(m.name, other.name, other.port);
      peers += (peers.empty() ? "" : ", ") + ("tcp://127.0.0.1:" + std::to_string(port));
    }
    std::error_code failed;
    std::filesystem::create_directories(m.folder / "models", failed);
    std::filesystem::create_symlink(model, m.folder / "models" / "chaos.gguf", failed);
    std::string yaml =
        "node:\n  name: " + m.name +
        "\n  state_dir: state\nlink:\n  listen: tcp://127.0.0.1:" + std::to_string(m.port) +
        "\nmodels:\n  directories: [models]\n" +
        (plan.nodes[i].computes ? "  preload: [chaos]\n" : "") +
        "membership:\n  learn_peers: false\n  peers: [" + peers +
        "]\ninference:\n  threads: 1\n  kv_bytes: 64MiB\n  enabled: " +
        (plan.nodes[i].computes ? "true" : "false") + "\n";

    if (redis_) yaml += "cache:\n  redis: " + redis_->address() + "\n  redis_retry: 100ms\n";
    if (failed || !local::write_file(m.folder / "node.yaml", yaml)) return no_folder;
  }
  return prepare_clocks(plan);
}

status local_cluster::prepare_clocks(const chaos_plan& plan) {
  if (std::none_of(plan.faults.begin(), plan.faults.end(),
                   [](const fault_plan& f) { return f.kind == fault_kind::clock_step; }))
    return {};
  preloaded_ = daemon_.parent_path() / "libtroupe_preloaded_clock.so";
  std::error_code failed;
  if (!std::filesystem::exists(preloaded_, failed))
    return error{error_code::not_found, "there is no " + preloaded_.string(),
                 "steps of a clock need a daemon of a build tree, which has it"};
  for (member& m : members_) m.clock = std::make_unique<wall_clock>(m.folder / "clock");
  return {};
}

std::uint64_t local_cluster::clock_reads() const {
  std::uint64_t sum = 0;
  for (const member& m : members_) sum += m.clock ? m.clock->reads() : 0;
  return sum;
}

local_cluster::~local_cluster() {
  for (member& m : members_)
    if (m.process) m.process->signal(SIGCONT), m.process->signal(SIGTERM);
  for (member& m : members_)
    if (m.process) m.process->wait(end_wait);
}

void local_cluster::launch(member& m) {
  std::map<std::string, std::string> variables;
  if (m.clock) variables = m.clock->variables(preloaded_);
  m.process = std::make_unique<local::child_process>(
      std::vector<std::string>{daemon_.string(), "--config", (m.folder / "node.yaml").string()},
      m.folder / "errors", variables);
}

local_cluster::member& local_cluster::find(const std::string& node) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const member& m) { return m.name == node; });
  assert(found != members_.end());
  return *found;
}

std::string local_cluster::at(const std::string& node) const {
  return "127.0.0.1:" + std::to_string(const_cast<local_cluster*>(this)->find(node).port);
}

void local_cluster::set_wires(const std::string& node, wire_state out, wire_state in) {
  for (const member& other : members_) {
    if (other.name == node) continue;
    wires_.set(node, other.name, out);
    wires_.set(other.name, node, in);
  }
}

void local_cluster::ask_redis(const std::vector<std::string>& words) {
  const std::string address = redis_->address();
  std::vector<std::string> command{"redis-cli", "-h", "127.0.0.1", "-p",
                                   address.substr(address.find(':') + 1)};
  command.insert(command.end(), words.begin(), words.end());
  local::child_process process(command, folder_.path() / "redis-cli");
  process.wait(redis_wait);
}

bool local_cluster::begin(const fault& what) {
  const std::string& node = what.node;
  switch (what.kind) {
    case fault_kind::kill:
      find(node).process->signal(SIGKILL);
      break;
    case fault_kind::stop:
      find(node).process->signal(SIGTERM);
      break;
    case fault_kind::pause:
      find(node).process->signal(SIGSTOP);
      break;
    case fault_kind::partition:
      set_wires(node, {.held = true}, {.held = true});
      break;
    case fault_kind::one_way:
      set_wires(node, {.held = true}, {});
      break;
    case fault_kind::delay:
      set_wires(node, {.delay = added_delay}, {.delay = added_delay});
      break;
    case fault_kind::corrupt:
      set_wires(node, {.damaged = true}, {.damaged = true});
      break;
    case fault_kind::cut:
      wires_.cut(node);
      break;
    case fault_kind::disk_full:
      return set_disk_full(find(node).process->pid(), true);
    case fault_kind::clock_step:
      find(node).clock->step(what.step);
      break;
    case fault_kind::slow_reader:
      return false;  // the clients' affair
    case fault_kind::redis_kill:
      redis_->process().signal(SIGKILL);
      break;
    case fault_kind::redis_flush:
      ask_redis({"flushall"});
      break;
    case fault_kind::redis_lie:
      ask_redis({"eval",
                 "for _, key in ipairs(redis.call('keys', '*')) do redis.call('set', key, "
                 "string.reverse(redis.call('get', key))) end",
                 "0"});
      break;
  }
  return true;
}

void local_cluster::end(const fault& what) {
  const std::string& node = what.node;
  switch (what.kind) {
    case fault_kind::kill:
    case fault_kind::stop:
      if (!find(node).process->wait(end_wait)) find(node).process->signal(SIGKILL);
      launch(find(node));
      break;
    case fault_kind::pause:
      find(node).process->signal(SIGCONT);
      break;
    case fault_kind::disk_full:
      set_disk_full(find(node).process->pid(), false);
      break;
    case fault_kind::clock_step:
      find(node).clock->step(milliseconds(0));
      break;
    case fault_kind::redis_kill:
      redis_->restart();
      break;
    default:
      if (!hits_redis(what.kind)) set_wires(node, {}, {});
  }
}

std::vector<std::string> local_cluster::log_lines(const std::string& event) const {
  std::vector<std::string> out;
  for (const member& m : members_) {
    std::ifstream log(m.folder / "state" / "trouped.log");
    for (std::string line; std::getline(log, line);)
      if (const std::size_t at = line.find(event + " "); at != std::string::npos)
        out.push_back(line.substr(at));
  }
  return out;
}

}  // namespace troupe::chaos
