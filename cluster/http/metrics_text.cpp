#include "cluster/http/metrics_text.hpp"

#include "actors/monitoring/job_metrics.hpp"
#include "cluster/http/metrics_writer.hpp"

namespace troupe::http {
namespace {

// As the node calls it; else its digest.
std::string model_name(const proto::NodeMetrics& node, const std::string& digest) {
  for (const proto::ModelDescription& model : node.status().models())
    if (model.digest() == digest) return model.name();
  return digest;
}

// What this node computes of other nodes' models.
void write_stages(std::string& out, const proto::NodeMetrics& node) {
  const auto each = [&](const char* name, const char* type, const char* about, auto&& read) {
    metric one(out, name, type, about);
    for (const proto::StageShown& stage : node.status().stages())
      one.row(read(stage),
              {{"head", stage.head()}, {"model_name", model_name(node, stage.model_digest())}});
  };
  using S = proto::StageShown;
  each("stage_memory_bytes", "gauge", "Weights and KV of layers computed for another node's model",
       [](const S& s) { return static_cast<double>(s.weight_bytes() + s.kv_bytes()); });
  each("stage_steps_total", "counter", "Steps of these layers",
       [](const S& s) { return static_cast<double>(s.steps()); });
  each("stage_step_seconds_total", "counter", "Time that these steps took here",
       [](const S& s) { return static_cast<double>(s.step_us()) * 1e-6; });
}

void write_engines(std::string& out, const proto::NodeMetrics& node) {
  const auto& engines = node.engines();
  const auto name_of = [&](int i) { return model_name(node, engines[i].model_digest()); };
  const auto each = [&](const char* name, const char* type, const char* about, auto&& read) {
    rows_of(out, name, type, about, engines, "model_name", name_of, read);
  };
  using E = proto::EngineMetrics;
  each("num_requests_running", "gauge", "Sequences that this node's engine computes",
       [](const E& e) { return e.running(); });
  each("num_requests_waiting", "gauge", "Sequences that wait for a place at this node's engine",
       [](const E& e) { return e.waiting(); });
  each("kv_cache_usage_perc", "gauge", "Part of the KV blocks that sequences use; 1 is all",
       [](const E& e) {
         return e.kv_blocks() == 0 ? 0.0 : static_cast<double>(e.kv_blocks_used()) / e.kv_blocks();
       });
  each("num_preemptions_total", "counter", "Sequences that gave their place up and went on later",
       [](const E& e) { return e.preemptions(); });
  each("prefix_cache_queries_total", "counter", "Prompt tokens that were looked for in the KV",
       [](const E& e) { return e.prefix_tokens_asked(); });
  each("prefix_cache_hits_total", "counter", "Prompt tokens whose KV was there already",
       [](const E& e) { return e.prefix_tokens_hit(); });
  each("kv_host_restored_tokens_total", "counter",
       "Of these hits, tokens whose KV came back from host memory",
       [](const E& e) { return e.prefix_tokens_restored(); });
  each("kv_host_bytes", "gauge", "Host memory that KV blocks fill behind the store",
       [](const E& e) { return static_cast<double>(e.host_blocks_used() * e.host_block_bytes()); });
  each("kv_host_blocks", "gauge", "KV blocks that host memory has",
       [](const E& e) { return e.host_blocks_used(); });
  each("kv_host_blocks_max", "gauge", "KV blocks that host memory has room for",
       [](const E& e) { return e.host_blocks(); });
  each("kv_host_blocks_copied_out_total", "counter", "KV blocks copied to host memory",
       [](const E& e) { return e.host_blocks_copied_out(); });
  each("kv_host_blocks_restored_total", "counter", "KV blocks brought back from host memory",
       [](const E& e) { return e.host_blocks_restored(); });
  each("kv_host_blocks_dropped_total", "counter",
       "Named KV blocks that neither the store nor host memory has any more",
       [](const E& e) { return e.host_blocks_dropped(); });
  each("engine_steps_total", "counter", "Steps that this node's engine computed",
       [](const E& e) { return e.steps(); });
  each("engine_steps_replayed_total", "counter",
       "Of these, steps of a GPU that were one recorded graph",
       [](const E& e) { return e.steps_replayed(); });
  each("engine_graphs_recorded_total", "counter", "Graphs that a GPU's steps were recorded as",
       [](const E& e) { return e.graphs_recorded(); });
}

void write_histogram(std::string& out, const histogram_kind& kind, int place,
                     const proto::NodeMetrics& node) {
  metric one(out, kind.name, "histogram", kind.about);
  for (const proto::ModelMetrics& model : node.models()) {
    if (place >= model.histograms_size()) continue;
    const proto::Histogram& held = model.histograms(place);
    std::uint64_t below = 0;
    for (int i = 0; i < held.counts_size(); ++i) {
      below += held.counts(i);
      const auto edge = static_cast<std::size_t>(i);
      const std::string le = edge < kind.edges.size() ? shown(kind.edges[edge]) : "+Inf";
      one.row(static_cast<double>(below), {{"model_name", model.model()}, {"le", le}}, "_bucket");
    }
    one.row(held.sum(), {{"model_name", model.model()}}, "_sum");
    one.row(static_cast<double>(below), {{"model_name", model.model()}}, "_count");
  }
}

void write_jobs(std::string& out, const proto::NodeMetrics& node) {
  const auto& models = node.models();
  const auto each = [&](const char* name, const char* about, auto&& read) {
    rows_of(
        out, name, "counter", about, models, "model_name", [&](int i) { return models[i].model(); },
        read);
  };
  using M = proto::ModelMetrics;
  each("prompt_tokens_total", "Prompt tokens of jobs that ended",
       [](const M& m) { return m.prompt_tokens(); });
  each("generation_tokens_total", "Answer tokens of jobs that ended",
       [](const M& m) { return m.answer_tokens(); });
  metric ended(out, "request_success_total", "counter", "Jobs that ended, by reason");
  for (const M& m : models)
    for (const auto& [reason, count] :
         {std::pair("stop", m.ended_stop()), std::pair("length", m.ended_length()),
          std::pair("abort", m.ended_abort()), std::pair("error", m.ended_error())})
      ended.row(static_cast<double>(count),
                {{"model_name", m.model()}, {"finished_reason", reason}});
  const auto kinds = job_histograms();
  for (std::size_t i = 0; i < kinds.size(); ++i)
    write_histogram(out, kinds[i], static_cast<int>(i), node);
}

void write_gateway(std::string& out, const proto::JobCounters& jobs, const live_counts& door) {
  const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
  one(out, "jobs_running", "gauge", "Jobs that run or wait at this gateway",
      number(jobs.running()));
  one(out, "jobs_accepted_total", "counter", "Jobs that this gateway took",
      number(jobs.accepted()));
  one(out, "jobs_refused_total", "counter", "Jobs that this gateway refused",
      number(jobs.refused()));
  one(out, "jobs_from_cache_total", "counter", "Jobs that a cached answer served",
      number(jobs.from_cache()));
  one(out, "frames_fenced_total", "counter", "Messages of older attempts, dropped",
      number(jobs.frames_fenced()));
  one(out, "http_requests_active", "gauge", "HTTP requests whose answers are being computed",
      number(door.requests));
  one(out, "http_connections", "gauge", "Open HTTP connections", number(door.connections));
  metric refused(out, "http_requests_refused_total", "counter",
                 "HTTP requests turned away before anything was done for them");
  for (std::size_t i = 0; i < refusal_names.size(); ++i)
    refused.row(number(door.refused[i]), {{"reason", std::string(refusal_names[i])}});
  one(out, "draining", "gauge", "Whether this node is stopping", door.draining ? 1 : 0);
}

void write_node(std::string& out, const proto::NodeStatus& status) {
  metric(out, "build_info", "gauge", "This program; always 1")
      .row(1, {{"node", status.node()}, {"version", status.version()}});
  one(out, "uptime_seconds", "gauge", "Since this node began",
      static_cast<double>(status.uptime_ms()) / 1000);
  const auto& actors = status.actors();
  const auto each_actor = [&](const char* name, const char* type, const char* about, auto&& read) {
    rows_of(
        out, name, type, about, actors, "actor", [&](int i) { return actors[i].name(); }, read);
  };
  using A = proto::ActorStatus;
  each_actor("actor_up", "gauge", "Whether the actor lives", [](const A& a) { return a.alive(); });
  each_actor("actor_restarts_total", "counter", "Times that the actor was started again",
             [](const A& a) { return a.restarts(); });
  each_actor("actor_mailbox_messages", "gauge", "Messages that wait for the actor",
             [](const A& a) { return a.mailbox_depth(); });
  const auto& links = status.links();
  rows_of(
      out, "link_up", "gauge", "Whether the link to the peer is up", links, "peer",
      [&](int i) { return links[i].peer(); }, [](const proto::LinkStatus& l) { return l.up(); });
  const auto& tiers = status.cache().tiers();
  const auto each_tier = [&](const char* name, const char* type, const char* about, auto&& read) {
    rows_of(
        out, name, type, about, tiers, "tier", [&](int i) { return tiers[i].name(); }, read);
  };
  using T = proto::CacheStatus::Tier;
  each_tier("answer_cache_up", "gauge", "Whether the tier of cached answers can be reached",
            [](const T& t) { return t.available(); });
  each_tier("answer_cache_bytes", "gauge", "Bytes of answers that the tier holds",
            [](const T& t) { return t.bytes(); });
  each_tier("answer_cache_hits_total", "counter", "Answers found in the tier",
            [](const T& t) { return t.hits(); });
  each_tier("answer_cache_misses_total", "counter", "Answers looked for in vain in the tier",
            [](const T& t) { return t.misses(); });
  each_tier("answer_cache_errors_total", "counter", "Time-outs and lost connections of the tier",
            [](const T& t) { return t.errors(); });
}

}  // namespace

std::string metrics_text(const proto::NodeMetrics& node, const live_counts& door) {
  std::string out;
  write_engines(out, node);
  write_stages(out, node);
  write_jobs(out, node);
  write_gateway(out, node.status().jobs(), door);
  write_node(out, node.status());
  write_machine(out, node);
  return out;
}

}  // namespace troupe::http
