#include "tools/cli/status_table.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/text_table.hpp"

namespace troupe::cli {
namespace {

using nlohmann::json;

std::string fixed(double number, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

double number(const json& of, const char* name) {
  const auto found = of.find(name);
  return found != of.end() && found->is_number() ? found->get<double>() : 0;
}
std::string count(const json& of, const char* name) {
  return fixed(number(of, name), 0);
}
std::string word(const json& of, const char* name) {
  const auto found = of.find(name);
  return found != of.end() && found->is_string() ? found->get<std::string>() : "";
}
bool holds(const json& of, const char* name) {
  const auto found = of.find(name);
  return found != of.end() && found->is_boolean() && found->get<bool>();
}
const json& part(const json& of, const char* name) {
  static const json nothing = json::object();
  const auto found = of.find(name);
  return found != of.end() && (found->is_object() || found->is_array()) ? *found : nothing;
}

// "0.012/0.034": 50th and 95th percentile, in milliseconds.
std::string milliseconds_pair(const json& percentiles) {
  if (number(percentiles, "count") == 0) return "-";
  return fixed(1000 * number(percentiles, "p50"), 1) + "/" +
         fixed(1000 * number(percentiles, "p95"), 1);
}

struct status_tables {
  text_table nodes{{"node", "state", "address", ">up for", "engine", ">memory", ">running",
                    ">finished", ">failed", ">cached", ">answer tokens", ">first token ms p50/p95",
                    ">next token ms p50/p95"}};
  text_table actors{{"node", "actor", "state", ">mailbox", ">messages", ">busy", ">restarts"}};
  text_table models{{"node", "model", "state", "type", ">parameters", ">file", ">weights", ">kv",
                     ">context", "digest"}};
  text_table caches{{"node", "tier", "state", ">entries", ">bytes", ">hits", ">misses", ">stores",
                     ">errors", ">corrupt"}};
  text_table links{{"node", "peer", "state", "address", ">sent", ">received", ">bytes sent",
                    ">bytes received", ">queued", ">resent", ">malformed", ">round trip ms"}};
  int links_ended = 0;  // of clients that have left and calls that reached nobody
};

// One that failed again and again gets no work for a moment.
std::string node_state(const json& node) {
  if (!holds(node, "up")) return "down";
  const std::string breaker = word(part(node, "breaker"), "state");
  return breaker == "breaker_open" || breaker == "breaker_half_open" ? "failing" : "up";
}

void add_node(status_tables& tables, const json& node) {
  const json& jobs = part(node, "jobs");
  const std::string engine = word(node, "engine");
  tables.nodes.add({word(node, "node"), node_state(node), word(node, "address"),
                    time_text(number(node, "uptime_ms") / 1000),
                    engine.empty()
                        ? "-"
                        : engine + " " + word(node, "numerics_class") + " " + word(node, "variant"),
                    size_text(number(node, "memory_bytes_used")) + " of " +
                        size_text(number(node, "memory_bytes")),
                    count(jobs, "running"), count(jobs, "finished"), count(jobs, "failed"),
                    count(jobs, "from_cache"), count(jobs, "answer_tokens"),
                    milliseconds_pair(part(jobs, "first_token_seconds")),
                    milliseconds_pair(part(jobs, "inter_token_seconds"))});
}

void add_parts(status_tables& tables, const json& node) {
  const std::string name = word(node, "node");
  for (const json& actor : part(node, "actors"))
    tables.actors.add({name, word(actor, "name"), holds(actor, "alive") ? "alive" : "down",
                       count(actor, "mailbox_depth"), count(actor, "messages"),
                       fixed(100 * number(actor, "busy_share"), 1) + " %",
                       count(actor, "restarts")});
  for (const json& model : part(node, "models")) {
    std::string state = word(model, "state");
    if (word(model, "load_refusal") == "too_large")
      state += ", too large for this node";
    else if (!word(model, "failure").empty())
      state += ": " + word(model, "failure");
    for (const json& elsewhere : part(model, "stages"))
      state += ", " + count(elsewhere, "layers") + " layers at " + word(elsewhere, "node");
    tables.models.add(
        {name, word(model, "name"), state, word(model, "quantization"),
         fixed(number(model, "parameters") / 1e6, 1) + " M", size_text(number(model, "size_bytes")),
         size_text(number(model, "weight_bytes")), size_text(number(model, "kv_bytes")),
         count(model, "context_tokens"), word(model, "digest").substr(0, 12)});
  }
  for (const json& stage : part(node, "stages")) {
    const std::string digest = word(stage, "model_digest");
    std::string model = "?";
    for (const json& one : part(node, "models"))
      if (word(one, "digest") == digest) model = word(one, "name");
    tables.models.add({name, model,
                       "layers " + count(stage, "layer_first") + " to " +
                           fixed(number(stage, "layer_end") - 1, 0) + " for " + word(stage, "head"),
                       "", "", "", size_text(number(stage, "weight_bytes")),
                       size_text(number(stage, "kv_bytes")), "", digest.substr(0, 12)});
  }
  for (const json& tier : part(part(node, "cache"), "tiers"))
    tables.caches.add({name, word(tier, "name"),
                       !holds(tier, "enabled")    ? "off"
                       : holds(tier, "available") ? "available"
                                                  : "away",
                       count(tier, "entries"), size_text(number(tier, "bytes")),
                       count(tier, "hits"), count(tier, "misses"), count(tier, "stores"),
                       count(tier, "errors"), count(tier, "corrupt")});
  for (const json& link : part(node, "links")) {
    const std::string peer = word(link, "peer");
    if (!holds(link, "up") && (peer.empty() || peer.starts_with("client-"))) {
      ++tables.links_ended;
      continue;
    }
    tables.links.add(
        {name, word(link, "peer"), holds(link, "up") ? "up" : "down", word(link, "address"),
         count(link, "messages_sent"), count(link, "messages_received"),
         size_text(number(link, "bytes_sent")), size_text(number(link, "bytes_received")),
         size_text(number(link, "queued_bytes")), count(link, "resent"),
         count(link, "dropped_malformed"), fixed(number(link, "round_trip_us") / 1000, 2)});
  }
}

}  // namespace

std::string size_text(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return fixed(bytes, unit == 0 ? 0 : 1) + " " + units[unit];
}

std::string time_text(double seconds) {
  const auto whole = static_cast<long long>(seconds);
  const auto pair = [](long long large, const char* large_unit, long long small,
                       const char* small_unit) {
    return std::to_string(large) + large_unit + " " + std::to_string(small) + small_unit;
  };
  if (whole >= 86400) return pair(whole / 86400, "d", whole % 86400 / 3600, "h");
  if (whole >= 3600) return pair(whole / 3600, "h", whole % 3600 / 60, "m");
  if (whole >= 60) return pair(whole / 60, "m", whole % 60, "s");
  return std::to_string(whole) + " s";
}

result<std::string> status_table(std::string_view document) {
  const json status = json::parse(document, nullptr, false);
  if (!status.is_object() || !part(status, "nodes").is_array())
    return error{error_code::data_corrupt,
                 "the node's status is not the document that this version knows",
                 "use the same version of troupe here and there, or --json"};
  status_tables tables;
  for (const json& node : part(status, "nodes")) {
    if (!node.is_object()) continue;
    add_node(tables, node);
    add_parts(tables, node);
  }
  std::string out =
      "asked at " + word(status, "gateway_node") + "\n\nNodes\n" + tables.nodes.text("  ");
  const auto add = [&out](const char* title, const text_table& table) {
    if (!table.empty()) out += std::string("\n") + title + "\n" + table.text("  ");
  };
  add("Actors", tables.actors);
  add("Models", tables.models);
  add("Caches", tables.caches);
  add("Links", tables.links);
  if (tables.links_ended > 0)
    out += "  and " + std::to_string(tables.links_ended) +
           (tables.links_ended == 1 ? " that has ended\n" : " that have ended\n");
  return out;
}

}  // namespace troupe::cli
