#include "tools/cli/answer_document.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

double milliseconds_of(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string fixed(double number, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

}  // namespace

std::string_view word_of(client::finish_reason reason) {
  switch (reason) {
    case client::finish_reason::end_of_text:
      return "end_of_text";
    case client::finish_reason::stop_text:
      return "stop_text";
    case client::finish_reason::length:
      return "length";
    case client::finish_reason::cancelled:
      return "cancelled";
    case client::finish_reason::failed:
      break;
  }
  return "failed";
}

std::string_view word_of(client::answer_source source) {
  switch (source) {
    case client::answer_source::local_cache:
      return "local_cache";
    case client::answer_source::shared_cache:
      return "shared_cache";
    case client::answer_source::computed:
      break;
  }
  return "computed";
}

// What is computed may come in one burst where the client was busy: then the worker's time counts.
double tokens_per_second(const served_answer& answer) {
  const bool computed = answer.report.source == client::answer_source::computed;
  std::chrono::nanoseconds time = answer.last_token;
  if (computed)
    time = std::max<std::chrono::nanoseconds>(answer.last_token - answer.first_token,
                                              std::chrono::microseconds(answer.report.decode_us));
  const std::size_t tokens = answer.tokens.size() - (computed && !answer.tokens.empty() ? 1 : 0);
  const double seconds = std::chrono::duration<double>(time).count();
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

std::string answer_line(const served_answer& answer) {
  const client::report& report = answer.report;
  const double rate = tokens_per_second(answer);
  return "node=" + report.worker_node + " gateway=" + report.gateway_node +
         " engine=" + report.engine + " class=" + report.numerics_class +
         (report.class_changed ? " class_changed=yes" : "") + " variant=" + report.variant +
         " source=" + std::string(word_of(report.source)) +
         " first_token_ms=" + fixed(milliseconds_of(answer.first_token), 1) +
         " tokens=" + std::to_string(answer.tokens.size()) +
         " tokens_per_second=" + (rate > 0 ? fixed(rate, 1) : "-") +
         " finish=" + std::string(word_of(report.reason)) + " seed=" + std::to_string(report.seed) +
         " job=" + report.job_id;
}

std::string answer_document(const served_answer& answer) {
  using json = nlohmann::ordered_json;
  const client::report& report = answer.report;
  json ids = json::array(), log_probabilities = json::array();
  for (const client::token& one : answer.tokens) {
    ids.push_back(one.id);
    log_probabilities.push_back(one.log_probability);
  }
  json document = {
      {"job_id", report.job_id},
      {"model", report.model_name},
      {"model_digest", report.model_digest},
      {"text", answer.text},
      {"ids", ids},
      {"log_probabilities", log_probabilities},
      {"finish", word_of(report.reason)},
      {"prompt_tokens", report.prompt_tokens},
      {"answer_tokens", report.answer_tokens},
      {"seed", report.seed},
      {"source", word_of(report.source)},
      {"gateway_node", report.gateway_node},
      {"worker_node", report.worker_node},
      {"engine", report.engine},
      {"numerics_class", report.numerics_class},
      {"variant", report.variant},
      {"attempts", report.attempts},
      {"resumed", report.resumed},
      {"class_changed", report.class_changed},
      {"prefix_tokens", report.prefix_tokens},
      {"first_token_ms", milliseconds_of(answer.first_token)},
      {"total_ms", milliseconds_of(answer.last_token)},
      {"tokens_per_second", tokens_per_second(answer)},
      {"queue_us", report.queue_us},
      {"prefill_us", report.prefill_us},
      {"decode_us", report.decode_us},
      {"gateway_first_token_us", report.first_token_us},
      {"gateway_total_us", report.total_us},
      {"error", nullptr},
  };
  if (answer.failure)
    document["error"] = {{"code", name_of(answer.failure->code)},
                         {"message", answer.failure->message},
                         {"mend", answer.failure->mend}};
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace troupe::cli
