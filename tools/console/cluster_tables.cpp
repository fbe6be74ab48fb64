#include "tools/console/cluster_tables.hpp"

#include <algorithm>
#include <map>

#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

constexpr std::size_t line_values = 16;

double share(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

cell name(const std::string& text, tone look = tone::plain) {
  return {printable(text), look};
}

// As the node itself calls it; else the digest's beginning.
std::string model_name(const proto::NodePart& node, const std::string& digest) {
  for (const proto::ModelDescription& model : node.status().models())
    if (model.digest() == digest) return model.name();
  return digest.substr(0, 12);
}

cell number(std::uint64_t value, tone look = tone::plain) {
  return {std::to_string(value), value == 0 ? tone::faint : look, static_cast<double>(value)};
}

cell rate(double per_second) {
  return {rate_text(per_second), per_second < 0.005 ? tone::faint : tone::plain, per_second};
}

// A bar; from the first limit on it is worth a look, from the second on it is bad.
cell bar(double part, double warn, double bad) {
  if (std::isnan(part)) return {"-", tone::faint, -1};
  return {share_text(part),
          part >= bad    ? tone::bad
          : part >= warn ? tone::warn
                         : tone::plain,
          part, part};
}

cell bytes_rate(double per_second) {
  return {bytes_text(per_second) + "/s", per_second < 1 ? tone::faint : tone::plain, per_second};
}

double memory_share(const proto::NodeStatus& status) {
  return share(static_cast<double>(status.memory_bytes_used()),
               static_cast<double>(status.memory_bytes()));
}

// What host memory holds of an engine's KV blocks: hits are tokens that it gave back.
row host_row(const std::string& node, const proto::EngineMetrics& engine) {
  const auto held = static_cast<double>(engine.host_blocks_used() * engine.host_block_bytes());
  return {node + " host " + engine.model_digest(),
          {name("host KV"),
           name(node),
           {"ok", tone::good, 3},
           {},
           number(engine.prefix_tokens_restored()),
           {},
           {bytes_text(held), tone::plain, held},
           {share_text(share(engine.host_blocks_used(), engine.host_blocks())), tone::faint},
           number(engine.host_blocks_copied_out()),
           number(engine.host_blocks_dropped()),
           {},
           {}}};
}

}  // namespace

cell health_of(const proto::NodePart& node) {
  const proto::BreakerState breaker = node.status().breaker().state();
  if (!node.up()) return {"DOWN", tone::bad, 0};
  if (node.silent()) return {"SILENT", tone::bad, 1};
  if (breaker == proto::BREAKER_OPEN) return {"FAILING", tone::bad, 2};
  if (node.suspect()) return {"SUSPECT", tone::warn, 3};
  if (breaker == proto::BREAKER_HALF_OPEN) return {"ON TRIAL", tone::warn, 4};
  if (node.draining()) return {"DRAINING", tone::warn, 5};
  return {"ok", tone::good, 6};
}

table nodes_table(const scene& from) {
  table out{{{"NODE", 12},
             {"HEALTH", 8},
             {"CPU", 12, false, false, 4},
             {"MEMORY", 12, false, false, 5},
             {"RUN", 4, true},
             {"WAIT", 4, true},
             {"TOK/S", 6, true},
             {"1ST TOKEN", 9, true, false, 3},
             {"AGE", 7, true, false, 2},
             {"CPU, 1 MIN", line_values, false, false, 6},
             {"ENGINE", 10, false, false, 7},
             {"UP FOR", 7, true, false, 8}},
            {},
            "No node is known yet."};
  for (const proto::NodePart& node : from.picture.nodes()) {
    const proto::NodeStatus& status = node.status();
    const worker_load load = load_of(from.picture, node);
    const proto::Percentiles& first = status.jobs().first_token_seconds();
    const bool old = !node.up() || node.silent();
    cell line{"", tone::plain};
    line.values = values_of(from.history, node.node(), "cpu_share", from.at_us, line_values * 2);
    row one{
        node.node(),
        {name(node.node(), node.up() ? tone::strong : tone::faint),
         health_of(node),
         bar(node.up() ? status.machine().cpu_share() : NAN, 0.85, 0.97),
         bar(node.up() ? memory_share(status) : NAN, 0.85, 0.95),
         node.up() ? number(load.running) : cell{"-", tone::faint, -1},
         node.up() ? number(load.waiting, load.waiting > 4 ? tone::bad : tone::warn)
                   : cell{"-", tone::faint, -1},
         node.up() ? rate(load.tokens_per_second) : cell{"-", tone::faint, -1},
         node.up() && first.count() ? cell{duration_text(first.p50()), tone::plain, first.p50()}
                                    : cell{"-", tone::faint, -1},
         {node.age_ms() < 1000 ? "now" : duration_text(static_cast<double>(node.age_ms()) / 1000),
          old ? tone::warn : tone::faint, static_cast<double>(node.age_ms())},
         line,
         name(status.engine() + (status.variant().empty() ? "" : "/" + status.variant()),
              tone::faint),
         {duration_text(static_cast<double>(status.uptime_ms()) / 1000), tone::faint,
          static_cast<double>(status.uptime_ms())}}};
    out.rows.push_back(std::move(one));
  }
  return out;
}

table links_table(const scene& from) {
  table out{{{"FROM", 10},
             {"TO", 10},
             {"STATE", 5},
             {"ROUND TRIP", 10, true},
             {"SENT", 12, true},
             {"RECEIVED", 12, true, false, 2},
             {"QUEUED", 9, true, false, 3},
             {"RESENT", 6, true, false, 4},
             {"MALFORMED", 9, true, false, 5},
             {"ADDRESS", 24, false, false, 6}},
            {},
            "This cluster has one node, so no links."};
  for (const proto::NodePart& node : from.picture.nodes()) {
    if (!node.up()) continue;
    for (const proto::LinkStatus& link : node.status().links()) {
      const double trip = static_cast<double>(link.round_trip_us()) / 1e6;
      out.rows.push_back({node.node() + ">" + link.peer(),
                          {name(node.node()),
                           name(link.peer()),
                           link.up() ? cell{"up", tone::good, 1} : cell{"DOWN", tone::bad, 0},
                           link.up() && trip > 0 ? cell{duration_text(trip),
                                                        trip > 0.2 ? tone::warn : tone::plain, trip}
                                                 : cell{"-", tone::faint, -1},
                           bytes_rate(link.bytes_sent_per_second()),
                           bytes_rate(link.bytes_received_per_second()),
                           {bytes_text(static_cast<double>(link.queued_bytes())),
                            link.queued_bytes() > (1u << 20) ? tone::warn : tone::faint,
                            static_cast<double>(link.queued_bytes())},
                           number(link.resent(), tone::warn),
                           number(link.dropped_malformed(), tone::bad),
                           name(link.address(), tone::faint)}});
    }
  }
  return out;
}

table models_table(const scene& from) {
  table out{{{"MODEL OR DEVICE", 20, false, true},
             {"NODE", 8},
             {"STATE", 9},
             {"MEMORY", 15},
             {"SIZE", 9, true},
             {"RUN", 3, true, false, 3},
             {"WAIT", 4, true, false, 2},
             {"TEMP", 5, true, false, 4},
             {"POWER", 6, true, false, 6},
             {"ENGINE", 18, false, false, 7}},
            {},
            "No node tells of a model or device."};
  for (const proto::NodePart& node : from.picture.nodes()) {
    if (!node.up()) continue;
    for (const proto::DeviceStatus& device : node.status().devices()) {
      const double used = share(static_cast<double>(device.memory_bytes_used()),
                                static_cast<double>(device.memory_bytes()));
      const tone heat = device.celsius() >= 90   ? tone::bad
                        : device.celsius() >= 80 ? tone::warn
                                                 : tone::plain;
      out.rows.push_back(
          {"device " + node.node() + " " + std::to_string(device.index()),
           {name("GPU " + std::to_string(device.index()) + " " + device.name(), tone::strong),
            name(node.node()),
            {share_text(device.busy_share()) + " busy", tone::plain, device.busy_share()},
            bar(used, 0.95, 0.99),
            {bytes_text(static_cast<double>(device.memory_bytes())), tone::faint,
             static_cast<double>(device.memory_bytes())},
            {},
            {},
            {std::to_string(device.celsius()) + " C", heat, static_cast<double>(device.celsius())},
            {rate_text(device.watts()) + " W", tone::faint, device.watts()},
            {std::to_string(device.clock_mhz()) + " MHz", tone::faint}}});
    }
    if (node.status().devices().empty())
      out.rows.push_back(
          {"device " + node.node(),
           {name("CPU, " + count_text(node.status().cores(), "core", "cores"), tone::strong),
            name(node.node()),
            {share_text(node.status().machine().cpu_share()) + " busy", tone::plain,
             node.status().machine().cpu_share()},
            bar(memory_share(node.status()), 0.85, 0.95),
            {bytes_text(static_cast<double>(node.status().memory_bytes())), tone::faint,
             static_cast<double>(node.status().memory_bytes())},
            {},
            {},
            {},
            {},
            name(node.status().variant(), tone::faint)}});
    for (const proto::ModelDescription& model : node.status().models()) {
      cell state{"on disk", tone::faint, 4};
      if (model.state() == proto::READY) state = {"ready", tone::good, 3};
      if (model.state() == proto::LOADING) state = {"loading", tone::warn, 2};
      if (model.state() == proto::FETCHING)
        state = {"get " + share_text(share(static_cast<double>(model.fetched_bytes()),
                                           static_cast<double>(model.size_bytes()))),
                 tone::warn, 1};
      if (model.state() == proto::MODEL_FAILED) state = {"FAILED", tone::bad, 0};
      if (model.load_refusal() == proto::WAITS_FOR_NODE) state = {"waits", tone::bad, 0};
      if (model.load_refusal() == proto::TOO_LARGE) state = {"too big", tone::faint, 5};
      cell memory{"", tone::faint, -1}, running, waiting;
      for (const proto::EngineMetrics& engine : node.engines())
        if (engine.model_digest() == model.digest()) {
          memory = bar(share(engine.kv_blocks_used(), engine.kv_blocks()), 0.9, 1.1);
          memory.text += " KV";
          running = number(engine.running());
          waiting = number(engine.waiting(), tone::warn);
        }
      const std::uint64_t size = model.weight_bytes() ? model.weight_bytes() : model.size_bytes();
      const bool unusable =
          model.state() == proto::MODEL_FAILED || model.load_refusal() != proto::LOADABLE;
      std::string engine = unusable ? model.failure() : model.engine() + " " + model.quantization();
      for (const proto::StagePart& part : model.stages())
        if (!unusable)
          engine += ", " + std::to_string(part.layers()) + " layers at " + printable(part.node());
      out.rows.push_back(
          {"model " + node.node() + " " + model.digest(),
           {name(model.name()),
            name(node.node()),
            state,
            memory,
            {bytes_text(static_cast<double>(size)), tone::plain, static_cast<double>(size)},
            running,
            waiting,
            {},
            {},
            name(engine, tone::faint)}});
    }
    for (const proto::StageShown& stage : node.status().stages()) {
      const auto bytes = static_cast<double>(stage.weight_bytes() + stage.kv_bytes());
      out.rows.push_back(
          {"stage " + node.node() + " " + stage.head() + " " + stage.model_digest(),
           {name(model_name(node, stage.model_digest())),
            name(node.node()),
            {"part", tone::good, 3},
            {"", tone::faint, -1},
            {bytes_text(bytes), tone::plain, bytes},
            {},
            {},
            {},
            {},
            name("layers " + std::to_string(stage.layer_first()) + " to " +
                     std::to_string(stage.layer_end() - 1) + " for " + printable(stage.head()),
                 tone::faint)}});
    }
  }
  return out;
}

table caches_table(const scene& from) {
  table out{{{"TIER", 10},
             {"NODE", 10},
             {"STATE", 7},
             {"HIT RATE", 14},
             {"HITS", 8, true},
             {"MISSES", 8, true},
             {"SIZE", 9, true},
             {"FULL", 5, true, false, 2},
             {"STORED", 8, true, false, 4},
             {"EVICTED", 8, true, false, 5},
             {"ERRORS", 6, true, false, 3},
             {"CORRUPT", 7, true, false, 6}},
            {},
            "No node tells of a cache."};
  for (const proto::NodePart& node : from.picture.nodes()) {
    if (!node.up()) continue;
    for (const proto::CacheStatus::Tier& tier : node.status().cache().tiers()) {
      const double asked = static_cast<double>(tier.hits() + tier.misses());
      out.rows.push_back(
          {node.node() + " " + tier.name(),
           {name(tier.name() == "local" ? "memory" : tier.name()),
            name(node.node()),
            !tier.enabled()    ? cell{"off", tone::faint, 2}
            : tier.available() ? cell{"ok", tone::good, 3}
                               : cell{"AWAY", tone::bad, 0},
            bar(share(static_cast<double>(tier.hits()), asked), 2, 2),
            number(tier.hits()),
            number(tier.misses()),
            {bytes_text(static_cast<double>(tier.bytes())), tone::plain,
             static_cast<double>(tier.bytes())},
            {tier.bytes_max() ? share_text(share(static_cast<double>(tier.bytes()),
                                                 static_cast<double>(tier.bytes_max())))
                              : "-",
             tone::faint},
            number(tier.stores()),
            number(tier.evictions()),
            number(tier.errors(), tone::warn),
            number(tier.corrupt(), tone::bad)}});
    }
    for (const proto::EngineMetrics& engine : node.engines()) {
      const std::uint64_t missed =
          engine.prefix_tokens_asked() -
          std::min(engine.prefix_tokens_hit(), engine.prefix_tokens_asked());
      out.rows.push_back(
          {node.node() + " prefix " + engine.model_digest(),
           {name("prefix KV"),
            name(node.node()),
            {"ok", tone::good, 3},
            bar(share(static_cast<double>(engine.prefix_tokens_hit()),
                      static_cast<double>(engine.prefix_tokens_asked())),
                2, 2),
            number(engine.prefix_tokens_hit()),
            number(missed),
            {std::to_string(engine.kv_blocks_used() + engine.kv_blocks_reusable()) + " bl",
             tone::plain, static_cast<double>(engine.kv_blocks_used())},
            {share_text(
                 share(engine.kv_blocks_used() + engine.kv_blocks_reusable(), engine.kv_blocks())),
             tone::faint},
            {},
            {},
            number(engine.preemptions(), tone::warn),
            {}}});
      if (engine.host_blocks() > 0) out.rows.push_back(host_row(node.node(), engine));
    }
  }
  return out;
}

}  // namespace troupe::console
