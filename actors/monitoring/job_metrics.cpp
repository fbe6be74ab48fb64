#include "actors/monitoring/job_metrics.hpp"

#include <algorithm>

namespace troupe {
namespace {

constexpr double time_edges[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                 1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640};
constexpr double token_edges[] = {1,   2,    5,    10,   20,    50,    100,  200,
                                  500, 1000, 2000, 5000, 10000, 20000, 50000};

enum kind {
  first_token,
  inter_token,
  time_per_token,
  end_to_end,
  queue,
  prefill,
  decode,
  inference,
  prompt,
  answer
};

constexpr histogram_kind kinds[] = {
    {"time_to_first_token_seconds", "From acceptance to the first token leaving the gateway",
     time_edges},
    {"inter_token_latency_seconds",
     "Time between two tokens of an answer: the answer's mean, once for each pair", time_edges},
    {"request_time_per_output_token_seconds",
     "Time between two tokens of an answer: the answer's mean, once for each answer", time_edges},
    {"e2e_request_latency_seconds", "From acceptance to the end", time_edges},
    {"request_queue_time_seconds", "Waiting for a place at the device", time_edges},
    {"request_prefill_time_seconds", "Computing the prompt", time_edges},
    {"request_decode_time_seconds", "Computing the answer", time_edges},
    {"request_inference_time_seconds", "Computing the prompt and the answer", time_edges},
    {"request_prompt_tokens", "Tokens of a prompt", token_edges},
    {"request_generation_tokens", "Tokens of an answer", token_edges},
};

double seconds(std::uint64_t us) {
  return static_cast<double>(us) / 1e6;
}

void observe(proto::ModelMetrics& row, kind of, double value, std::uint64_t times = 1) {
  const auto edges = kinds[of].edges;
  proto::Histogram& to = *row.mutable_histograms(of);
  const auto place = std::lower_bound(edges.begin(), edges.end(), value) - edges.begin();
  to.set_counts(static_cast<int>(place), to.counts(static_cast<int>(place)) + times);
  to.set_sum(to.sum() + value * static_cast<double>(times));
}

proto::ModelMetrics empty_row(const std::string& model) {
  proto::ModelMetrics row;
  row.set_model(model);
  for (const histogram_kind& one : kinds)
    row.add_histograms()->mutable_counts()->Resize(static_cast<int>(one.edges.size()) + 1, 0);
  return row;
}

void count_end(proto::ModelMetrics& row, proto::FinishReason reason) {
  switch (reason) {
    case proto::END_OF_TEXT:
    case proto::STOP_TEXT:
      return row.set_ended_stop(row.ended_stop() + 1);
    case proto::LENGTH:
      return row.set_ended_length(row.ended_length() + 1);
    case proto::CANCELLED_BY_CLIENT:
      return row.set_ended_abort(row.ended_abort() + 1);
    default:
      return row.set_ended_error(row.ended_error() + 1);
  }
}

// A cached answer waited for no device.
void observe_times(proto::ModelMetrics& row, const proto::JobFinished& finished) {
  const proto::Provenance& origin = finished.provenance();
  const std::uint32_t tokens = finished.answer_tokens();
  observe(row, end_to_end, seconds(origin.total_us()));
  observe(row, prompt, finished.prompt_tokens());
  observe(row, answer, tokens);
  if (tokens > 0) observe(row, first_token, seconds(origin.first_token_us()));
  if (origin.source() != proto::COMPUTED) return;
  observe(row, queue, seconds(origin.queue_us()));
  observe(row, prefill, seconds(origin.prefill_us()));
  observe(row, decode, seconds(origin.decode_us()));
  observe(row, inference, seconds(origin.prefill_us() + origin.decode_us()));
  if (tokens < 2) return;
  const double between = seconds(origin.decode_us()) / (tokens - 1);
  observe(row, inter_token, between, tokens - 1);
  observe(row, time_per_token, between);
}

}  // namespace

std::span<const histogram_kind> job_histograms() {
  return kinds;
}

void job_metrics::job_ended(const std::string& model, const proto::JobFinished& finished) {
  const bool fits = models_.contains(model) || models_.size() < models_max;
  const std::string name = fits ? model : "other";
  const auto [place, fresh] = models_.try_emplace(name);
  if (fresh) place->second = empty_row(name);
  proto::ModelMetrics& row = place->second;
  count_end(row, finished.reason());
  row.set_prompt_tokens(row.prompt_tokens() + finished.prompt_tokens());
  row.set_answer_tokens(row.answer_tokens() + finished.answer_tokens());
  const bool failed =
      finished.reason() == proto::FAILED || finished.reason() == proto::CANCELLED_BY_CLIENT;
  if (!failed) observe_times(row, finished);
}

void job_metrics::write(proto::NodeMetrics& to) const {
  for (const auto& [model, row] : models_) *to.add_models() = row;
}

}  // namespace troupe
