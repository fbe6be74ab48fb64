#include "tools/chaos/plan.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace troupe::chaos {
namespace {

using json = nlohmann::json;

constexpr std::size_t nodes_max = 16, faults_max = 32;
constexpr std::int64_t hour_ms = 3'600'000;

enum class target { node, client, redis };

struct kind_row {
  fault_kind kind;
  std::string_view name;
  target hits;
  bool takes_out;
};

constexpr std::array<kind_row, 14> kinds{{
    {fault_kind::kill, "kill", target::node, true},
    {fault_kind::stop, "stop", target::node, true},
    {fault_kind::pause, "pause", target::node, true},
    {fault_kind::partition, "partition", target::node, true},
    {fault_kind::one_way, "one_way", target::node, true},
    {fault_kind::delay, "delay", target::node, false},
    {fault_kind::corrupt, "corrupt", target::node, false},
    {fault_kind::cut, "cut", target::node, false},
    {fault_kind::disk_full, "disk_full", target::node, false},
    {fault_kind::clock_step, "clock_step", target::node, false},
    {fault_kind::slow_reader, "slow_reader", target::client, false},
    {fault_kind::redis_kill, "redis_kill", target::redis, false},
    {fault_kind::redis_flush, "redis_flush", target::redis, false},
    {fault_kind::redis_lie, "redis_lie", target::redis, false},
}};

const kind_row& row_of_kind(fault_kind kind) {
  return *std::find_if(kinds.begin(), kinds.end(),
                       [&](const kind_row& row) { return row.kind == kind; });
}

// Reads the members of one object; what is asked for and wrong, or there and never asked for, is a
// failure.
class reader {
 public:
  reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("", "is no object");
  }

  std::string text(const char* key, std::string fallback) {
    const json* value = find(key);
    if (!value) return fallback;
    if (!value->is_string() || value->get<std::string>().empty())
      return fail(key, "is no text"), fallback;
    return value->get<std::string>();
  }

  std::int64_t number(const char* key, std::int64_t fallback, std::int64_t least,
                      std::int64_t most) {
    const json* value = find(key);
    if (!value) return fallback;
    const bool fits = value->is_number_integer() && value->get<std::int64_t>() >= least &&
                      value->get<std::int64_t>() <= most;
    if (!fits) {
      fail(key,
           "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
      return fallback;
    }
    return value->get<std::int64_t>();
  }

  double real(const char* key, double fallback, double least, double most) {
    const json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most)) {
      fail(key, "must be a number from " + std::to_string(least) + " to " + std::to_string(most));
      return fallback;
    }
    return value->get<double>();
  }

  bool truth(const char* key, bool fallback) {
    const json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) return fail(key, "must be true or false"), fallback;
    return value->get<bool>();
  }

  milliseconds time(const char* key, milliseconds fallback) {
    return milliseconds(number(key, fallback.count(), 0, hour_ms));
  }

  const json& list(const char* key) {
    static const json none = json::array();
    const json* value = find(key);
    if (!value) return none;
    if (!value->is_array()) return fail(key, "must be a list"), none;
    return *value;
  }

  const json& object(const char* key) {
    static const json none = json::object();
    const json* value = find(key);
    return value ? *value : none;
  }

  std::vector<std::string> names(const char* key) {
    std::vector<std::string> out;
    for (const json& name : list(key))
      name.is_string() ? out.push_back(name) : fail(key, "must hold names");
    return out;
  }

  void fail(const std::string& key, const std::string& what) {
    if (failure_) return;
    failure_ =
        error{error_code::invalid_argument, where_ + (key.empty() ? "" : "." + key) + " " + what,
              "tools/chaos/README.md shows a plan"};
  }

  // After everything was asked for.
  const std::optional<error>& ended() {
    if (object_.is_object())
      for (const auto& [key, value] : object_.items())
        if (!asked_.contains(key)) fail(key, "is unknown");
    return failure_;
  }

 private:
  const json* find(const char* key) {
    asked_.insert(key);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const json& object_;
  std::string where_;
  std::set<std::string> asked_;
  std::optional<error> failure_;
};

std::optional<error> read_node(const json& from, const std::string& where, chaos_plan& plan) {
  reader r(from, where);
  node_plan node;
  node.name = r.text("name", "");
  node.computes = r.truth("computes", true);
  const bool plain = !node.name.empty() && node.name.size() <= 32 &&
                     std::all_of(node.name.begin(), node.name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                     });
  if (!plain) r.fail("name", "must be 1 to 32 letters a-z, digits or '-'");
  for (const node_plan& other : plan.nodes)
    if (other.name == node.name) r.fail("name", "stands twice: " + node.name);
  plan.nodes.push_back(std::move(node));
  return r.ended();
}

bool knows(const chaos_plan& plan, const std::string& name) {
  return std::any_of(plan.nodes.begin(), plan.nodes.end(),
                     [&](const node_plan& node) { return node.name == name; });
}

std::optional<error> read_fault(const json& from, const std::string& where, chaos_plan& plan) {
  reader r(from, where);
  fault_plan fault;
  const workload_plan& load = plan.workload;
  const std::string kind = r.text("kind", "");
  const auto row =
      std::find_if(kinds.begin(), kinds.end(), [&](const kind_row& k) { return k.name == kind; });
  fault.nodes = r.names("nodes");
  const json& clients = r.list("clients");
  fault.first = r.time("first_ms", milliseconds(2'000));
  fault.every = r.time("every_ms", milliseconds(0));
  fault.lasts = r.time("lasts_ms", milliseconds(1'000));
  fault.lasts_max = r.time("lasts_max_ms", fault.lasts);
  if (row == kinds.end()) {
    std::string all;
    for (const kind_row& k : kinds) all += (all.empty() ? "" : ", ") + std::string(k.name);
    r.fail("kind", "must be one of " + all);
    return r.ended();
  }
  fault.kind = row->kind;
  const bool named = row->hits == target::node;
  if (named == fault.nodes.empty())
    r.fail("nodes", named ? "must name nodes" : "must be absent: this is not done to nodes");
  if ((row->hits == target::client) == clients.empty())
    r.fail("clients", clients.empty() ? "must number clients, from 0 on"
                                      : "must be absent: this is not done to clients");
  if (fault.lasts_max < fault.lasts) r.fail("lasts_max_ms", "must not be below lasts_ms");
  if (row->hits == target::redis && !plan.redis)
    r.fail("kind", "needs \"redis\": true in the plan");
  for (const std::string& node : fault.nodes)
    if (!knows(plan, node)) r.fail("nodes", "names an unknown node: " + node);
  for (const json& client : clients) {
    const bool fits = client.is_number_unsigned() && client.get<std::uint64_t>() < load.streams;
    if (!fits) {
      r.fail("clients", "must hold numbers below workload.streams");
      break;
    }
    fault.nodes.push_back(client_name(client.get<std::uint32_t>()));
  }
  if (fault.every.count() > 0 && fault.every < milliseconds(200))
    r.fail("every_ms", "must be 0 or at least 200");
  plan.faults.push_back(std::move(fault));
  return r.ended();
}

std::optional<error> read_workload(const json& from, const std::string& where, chaos_plan& plan) {
  reader r(from, where);
  workload_plan& load = plan.workload;
  load.streams = static_cast<std::uint32_t>(r.number("streams", load.streams, 1, 256));
  load.prompts = static_cast<std::uint32_t>(r.number("prompts", load.prompts, 1, 256));
  load.tokens_max = static_cast<std::uint32_t>(r.number("tokens", load.tokens_max, 1, 4096));
  load.temperature = static_cast<float>(r.real("temperature", load.temperature, 0, 2));
  load.cache = r.truth("cache", load.cache);
  load.reader_pause = r.time("reader_pause_ms", load.reader_pause);
  load.gateways = r.names("gateways");
  if (load.gateways.empty() && !plan.nodes.empty()) load.gateways.push_back(plan.nodes[0].name);
  for (const std::string& gateway : load.gateways)
    if (!knows(plan, gateway)) r.fail("gateways", "names an unknown node: " + gateway);
  return r.ended();
}

std::optional<error> read_floors(const json& from, const std::string& where, chaos_plan& plan) {
  reader r(from, where);
  floor_plan& floors = plan.floors;
  floors.jobs = static_cast<std::uint32_t>(r.number("jobs", floors.jobs, 1, 1'000'000));
  floors.faults = static_cast<std::uint32_t>(r.number("faults", floors.faults, 0, 100'000));
  floors.faults_in_flight =
      static_cast<std::uint32_t>(r.number("faults_in_flight", floors.faults_in_flight, 0, 100'000));
  floors.jobs_per_side =
      static_cast<std::uint32_t>(r.number("jobs_per_side", floors.jobs_per_side, 0, 1000));
  return r.ended();
}

}  // namespace

std::string_view name_of(fault_kind kind) {
  return row_of_kind(kind).name;
}

bool hits_redis(fault_kind kind) {
  return row_of_kind(kind).hits == target::redis;
}

bool hits_client(fault_kind kind) {
  return row_of_kind(kind).hits == target::client;
}

bool takes_out(fault_kind kind) {
  return row_of_kind(kind).takes_out;
}

std::string client_name(std::uint32_t stream) {
  return "client " + std::to_string(stream);
}

result<chaos_plan> read_plan(std::string_view text, std::string_view shown) {
  const json document = json::parse(text, nullptr, false, true);
  const std::string where(shown);
  if (document.is_discarded())
    return error{error_code::invalid_argument, where + " is not JSON",
                 "tools/chaos/README.md shows a plan"};
  chaos_plan plan;
  reader r(document, where);
  plan.name = r.text("name", where);
  plan.seed = static_cast<std::uint64_t>(r.number("seed", 1, 0, INT64_MAX));
  plan.lasts = milliseconds(1000 * r.number("seconds", 30, 1, 86'400));
  plan.redis = r.truth("redis", false);
  const json& nodes = r.list("nodes");
  const json& faults = r.list("faults");
  if (nodes.empty() || nodes.size() > nodes_max)
    r.fail("nodes", "must hold 1 to " + std::to_string(nodes_max) + " nodes");
  if (faults.size() > faults_max)
    r.fail("faults", "must hold at most " + std::to_string(faults_max));
  const json& workload = r.object("workload");
  const json& floors = r.object("floors");
  if (const auto& wrong = r.ended()) return *wrong;
  std::size_t at = 0;
  for (const json& node : nodes)
    if (auto wrong = read_node(node, where + ".nodes[" + std::to_string(at++) + "]", plan))
      return *wrong;
  if (auto wrong = read_workload(workload, where + ".workload", plan)) return *wrong;
  at = 0;
  for (const json& fault : faults)
    if (auto wrong = read_fault(fault, where + ".faults[" + std::to_string(at++) + "]", plan))
      return *wrong;
  if (auto wrong = read_floors(floors, where + ".floors", plan)) return *wrong;
  if (std::none_of(plan.nodes.begin(), plan.nodes.end(),
                   [](const node_plan& n) { return n.computes; }))
    return error{error_code::invalid_argument, where + ": no node computes",
                 "leave \"computes\" out of one"};
  return plan;
}

}  // namespace troupe::chaos
