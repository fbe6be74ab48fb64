// Answers in Ollama's shapes: one document, or one line of JSON for each piece.
#include <ctime>
#include <nlohmann/json.hpp>

#include "cluster/http/answer_writer.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string rfc3339(std::int64_t unix_s) {
  const std::time_t when = unix_s;
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

class ollama_writer final : public answer_writer {
 public:
  ollama_writer(const reply_plan& plan, const reply_identity& identity)
      : plan_(plan), created_(rfc3339(identity.created_s)) {}

  const char* content_type() const override {
    return plan_.streams ? "application/x-ndjson" : "application/json; charset=utf-8";
  }

  std::string whole(const answer_states& answers) override {
    return dumped(finished(answers[0], answers[0].text));
  }

  std::string frame(std::size_t, const answer_state&, const proto::JobTokens& tokens) override {
    if (tokens.text().empty()) return {};
    json out = said(tokens.text());
    out["done"] = false;
    return dumped(out) + "\n";
  }

  std::string ending(std::size_t, const answer_state&) override { return {}; }

  std::string last(const answer_states& answers) override {
    std::string out;
    const std::string& tail = answers[0].finished->text_tail();
    if (!tail.empty()) {
      json piece = said(tail);
      piece["done"] = false;
      out = dumped(piece) + "\n";
    }
    return out + dumped(finished(answers[0], {})) + "\n";
  }

  std::string failed(const api_error& why) override { return ollama_error_document(why) + "\n"; }

 private:
  json said(const std::string& text) const {
    json out = {{"model", plan_.model}, {"created_at", created_}};
    if (plan_.kind == reply_kind::ollama_chat)
      out["message"] = {{"role", "assistant"}, {"content", text}};
    else
      out["response"] = text;
    return out;
  }

  json finished(const answer_state& answer, const std::string& text) const {
    const proto::JobFinished& end = *answer.finished;
    const proto::Provenance& origin = end.provenance();
    json out = said(text);
    out["done"] = true;
    out["done_reason"] = reason_name(end.reason());
    out["total_duration"] = origin.total_us() * 1000;  // nanoseconds
    out["load_duration"] = 0;
    out["prompt_eval_count"] = end.prompt_tokens();
    out["prompt_eval_duration"] = origin.prefill_us() * 1000;
    out["eval_count"] = end.answer_tokens();
    out["eval_duration"] = origin.decode_us() * 1000;
    return out;
  }

  reply_plan plan_;
  std::string created_;
};

}  // namespace

std::unique_ptr<answer_writer> make_ollama_writer(const reply_plan& plan, reply_identity identity) {
  return std::make_unique<ollama_writer>(plan, identity);
}

}  // namespace troupe::http
