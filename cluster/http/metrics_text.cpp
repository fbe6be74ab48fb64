#include "cluster/http/metrics_text.hpp"

#include <cstdio>
#include <span>

#include "cluster/http/answer_writer.hpp"

namespace troupe::http {
namespace {

constexpr double latency_buckets[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08,
                                      0.1,   0.25,  0.5,  0.75, 1,    2.5,  5,
                                      7.5,   10,    20,   40,   80,   160,  640};
constexpr double token_buckets[] = {1,   2,    5,    10,   20,    50,    100,  200,
                                    500, 1000, 2000, 5000, 10000, 20000, 50000};

struct histogram_row {
  const char* name;
  const char* about;
  std::span<const double> buckets;
};

enum histogram_name {
  first_token,
  inter_token,
  end_to_end,
  queue,
  prefill,
  decode,
  prompt,
  answer
};

constexpr histogram_row histogram_table[] = {
    {"troupe_time_to_first_token_seconds", "From acceptance to the first token leaving the gateway",
     latency_buckets},
    {"troupe_inter_token_latency_seconds", "Mean time between two tokens of one answer",
     latency_buckets},
    {"troupe_e2e_request_latency_seconds", "From acceptance to the end", latency_buckets},
    {"troupe_request_queue_time_seconds", "Waiting for a place at the device", latency_buckets},
    {"troupe_request_prefill_time_seconds", "Computing the prompt", latency_buckets},
    {"troupe_request_decode_time_seconds", "Computing the answer", latency_buckets},
    {"troupe_request_prompt_tokens", "Tokens of a prompt", token_buckets},
    {"troupe_request_generation_tokens", "Tokens of an answer", token_buckets},
};

std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string label(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + "\"";
}

void head(std::string& out, const std::string& name, const char* type, const char* about) {
  out += "# HELP " + name + " " + about + "\n# TYPE " + name + " " + type + "\n";
}

void one(std::string& out, const std::string& name, const char* type, const char* about,
         const std::string& labels, double value) {
  head(out, name, type, about);
  out += name + labels + " " + shown(value) + "\n";
}

double seconds(std::uint64_t us) {
  return static_cast<double>(us) / 1e6;
}

}  // namespace

void serving_metrics::histogram::observe(double value, std::size_t row) {
  const auto bounds = histogram_table[row].buckets;
  buckets.resize(bounds.size());
  for (std::size_t i = 0; i < bounds.size(); ++i)
    if (value <= bounds[i]) ++buckets[i];
  ++count;
  sum += value;
}

serving_metrics::model_row& serving_metrics::row_of(const std::string& model) {
  const bool fits = models_.contains(model) || models_.size() < models_max;
  return models_[fits ? model : "other"];
}

void serving_metrics::job_ended(const std::string& model, const proto::JobFinished& finished) {
  const std::lock_guard lock{guard_};
  model_row& row = row_of(model);
  const proto::Provenance& origin = finished.provenance();
  ++row.ended[reason_name(finished.reason())];
  row.prompt_tokens += finished.prompt_tokens();
  row.generation_tokens += finished.answer_tokens();
  row.cached_prompt_tokens += origin.prefix_tokens();
  const auto observe = [&](histogram_name name, double value) {
    row.histograms[name].observe(value, name);
  };
  observe(first_token, seconds(origin.first_token_us()));
  observe(end_to_end, seconds(origin.total_us()));
  observe(prompt, finished.prompt_tokens());
  observe(answer, finished.answer_tokens());
  if (origin.source() != proto::COMPUTED) return;  // a cached answer waited for no device
  observe(queue, seconds(origin.queue_us()));
  observe(prefill, seconds(origin.prefill_us()));
  observe(decode, seconds(origin.decode_us()));
  if (finished.answer_tokens() > 1)
    observe(inter_token, seconds(origin.decode_us()) / (finished.answer_tokens() - 1));
}

void serving_metrics::request_failed(const std::string& model) {
  const std::lock_guard lock{guard_};
  ++row_of(model).ended["error"];
}

std::string serving_metrics::text(const proto::ClusterStatus& status, const std::string& node,
                                  const live_counts& now) const {
  std::string out;
  std::uint64_t running = 0;
  for (const proto::NodeStatus& part : status.nodes())
    if (part.node() == node) running = part.jobs().running();
  one(out, "troupe_num_requests_running", "gauge", "Jobs that run or wait at this gateway", "",
      static_cast<double>(running));
  one(out, "troupe_http_requests_active", "gauge", "HTTP requests whose answers are being computed",
      "", static_cast<double>(now.requests));
  one(out, "troupe_http_connections", "gauge", "Open HTTP connections", "",
      static_cast<double>(now.connections));
  one(out, "troupe_http_requests_refused_total", "counter",
      "HTTP requests refused: the queue was full", "", static_cast<double>(now.refused));
  one(out, "troupe_draining", "gauge", "Whether this node is stopping", "", now.draining ? 1 : 0);
  head(out, "troupe_node_up", "gauge", "Whether this gateway sees the node up");
  for (const proto::NodeStatus& part : status.nodes())
    out += "troupe_node_up{node=" + label(part.node()) + "} " + (part.up() ? "1" : "0") + "\n";

  const std::lock_guard lock{guard_};
  const auto counters = [&](const std::string& name, const char* about, auto&& read) {
    head(out, name, "counter", about);
    for (const auto& [model, row] : models_)
      out += name + "{model_name=" + label(model) + "} " + std::to_string(read(row)) + "\n";
  };
  counters("troupe_prompt_tokens_total", "Prompt tokens of requests that ended",
           [](const model_row& row) { return row.prompt_tokens; });
  counters("troupe_generation_tokens_total", "Answer tokens of requests that ended",
           [](const model_row& row) { return row.generation_tokens; });
  counters("troupe_prefix_cache_hits_total", "Prompt tokens whose KV was there already",
           [](const model_row& row) { return row.cached_prompt_tokens; });
  head(out, "troupe_request_success_total", "counter", "Requests that ended, by reason");
  for (const auto& [model, row] : models_)
    for (const auto& [reason, count] : row.ended)
      out += "troupe_request_success_total{model_name=" + label(model) +
             ",finished_reason=" + label(reason) + "} " + std::to_string(count) + "\n";
  for (std::size_t i = 0; i < std::size(histogram_table); ++i) {
    const histogram_row& known = histogram_table[i];
    const std::string name = known.name;
    head(out, name, "histogram", known.about);
    for (const auto& [model, row] : models_) {
      const histogram& held = row.histograms[i];
      if (held.count == 0) continue;
      const std::string labels = "{model_name=" + label(model);
      for (std::size_t b = 0; b < known.buckets.size(); ++b)
        out += name + "_bucket" + labels + ",le=\"" + shown(known.buckets[b]) + "\"} " +
               std::to_string(held.buckets[b]) + "\n";
      out += name + "_bucket" + labels + ",le=\"+Inf\"} " + std::to_string(held.count) + "\n" +
             name + "_sum" + labels + "} " + shown(held.sum) + "\n" + name + "_count" + labels +
             "} " + std::to_string(held.count) + "\n";
    }
  }
  return out;
}

}  // namespace troupe::http
