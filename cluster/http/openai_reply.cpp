// Answers in OpenAI's shapes: documents, and chunks as server-sent events.
#include <nlohmann/json.hpp>

#include "cluster/http/answer_writer.hpp"
#include "cluster/http/base64.hpp"
#include "cluster/http/log_probabilities.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string event_of(const json& document) {
  return "data: " + dumped(document) + "\n\n";
}

class openai_writer final : public answer_writer {
 public:
  openai_writer(const reply_plan& plan, reply_identity identity)
      : plan_(plan), identity_(std::move(identity)), chat_(plan.kind == reply_kind::chat) {}

  const char* content_type() const override {
    return plan_.streams ? "text/event-stream; charset=utf-8" : "application/json";
  }

  std::string whole(const answer_states& answers) override {
    if (plan_.kind == reply_kind::embedding) return embeddings(answers);
    json choices = json::array();
    for (std::size_t i = 0; i < answers.size(); ++i) {
      json choice = {{"index", i}};
      if (chat_)
        choice["message"] = {
            {"role", "assistant"}, {"content", answers[i].text}, {"refusal", nullptr}};
      else
        choice["text"] = answers[i].text;
      choice["logprobs"] = log_probabilities(i, answers[i].tokens);
      choice["finish_reason"] = reason_name(answers[i].finished->reason());
      choices.push_back(std::move(choice));
    }
    json out = head(answers[0], chat_ ? "chat.completion" : "text_completion");
    out["choices"] = std::move(choices);
    out["usage"] = usage(answers);
    return dumped(out);
  }

  std::string frame(std::size_t index, const answer_state& answer,
                    const proto::JobTokens& tokens) override {
    std::string out = opening(index, answer);
    if (tokens.text().empty() && !plan_.log_probabilities) return out;
    return out + piece(index, answer, tokens.text(), log_probabilities(index, tokens), nullptr);
  }

  std::string ending(std::size_t index, const answer_state& answer) override {
    std::string out = opening(index, answer);
    const std::string& tail = answer.finished->text_tail();
    if (!tail.empty()) out += piece(index, answer, tail, nullptr, nullptr);
    return out + piece(index, answer, {}, nullptr, reason_name(answer.finished->reason()));
  }

  std::string last(const answer_states& answers) override {
    std::string out;
    if (plan_.usage_in_stream) {
      json chunk = head(answers[0], chunk_name());
      chunk["choices"] = json::array();
      chunk["usage"] = usage(answers);
      out += event_of(chunk);
    }
    return out + ": " + served_by(answers) + "\n\ndata: [DONE]\n\n";
  }

  std::string failed(const api_error& why) override {
    return "data: " + openai_error_document(why) + "\n\n";
  }

 private:
  const char* chunk_name() const { return chat_ ? "chat.completion.chunk" : "text_completion"; }

  json head(const answer_state& answer, const char* object) const {
    json out = {{"id", (chat_ ? "chatcmpl-" : "cmpl-") + identity_.id},
                {"object", object},
                {"created", identity_.created_s},
                {"model", plan_.model}};
    if (answer.accepted)
      out["system_fingerprint"] = "fp_" + answer.accepted->model_digest().substr(0, 16);
    return out;
  }

  json log_probabilities(std::size_t index, const proto::JobTokens& tokens) {
    if (!plan_.log_probabilities) return nullptr;
    if (chat_) return chat_log_probabilities(tokens);
    if (offsets_.size() <= index) offsets_.resize(index + 1);
    return completion_log_probabilities(tokens, offsets_[index]);
  }

  // A chat's answer opens with its role.
  std::string opening(std::size_t index, const answer_state& answer) {
    if (!chat_) return {};
    if (opened_.size() <= index) opened_.resize(index + 1);
    if (opened_[index]) return {};
    opened_[index] = true;
    json chunk = head(answer, chunk_name());
    json choice = {{"index", index},
                   {"delta", {{"role", "assistant"}, {"content", ""}}},
                   {"logprobs", nullptr},
                   {"finish_reason", nullptr}};
    chunk["choices"] = json::array({std::move(choice)});
    return event_of(chunk);
  }

  std::string piece(std::size_t index, const answer_state& answer, const std::string& text,
                    json scores, const char* reason) const {
    json choice = {{"index", index}};
    if (!chat_)
      choice["text"] = text;
    else if (reason)
      choice["delta"] = json::object();
    else
      choice["delta"] = {{"content", text}};
    choice["logprobs"] = std::move(scores);
    choice["finish_reason"] = reason ? json(reason) : json(nullptr);
    json chunk = head(answer, chunk_name());
    chunk["choices"] = json::array({std::move(choice)});
    return event_of(chunk);
  }

  // A prompt counts once, whatever the number of its choices.
  json usage(const answer_states& answers) const {
    std::uint64_t prompt = 0, cached = 0, answered = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const proto::JobFinished& finished = *answers[i].finished;
      answered += finished.answer_tokens();
      if (i % plan_.choices != 0) continue;
      prompt += finished.prompt_tokens();
      cached += finished.provenance().prefix_tokens();
    }
    json out = {{"prompt_tokens", prompt}};
    if (plan_.kind != reply_kind::embedding) out["completion_tokens"] = answered;
    out["total_tokens"] = plan_.kind == reply_kind::embedding ? prompt : prompt + answered;
    if (plan_.kind != reply_kind::embedding)
      out["prompt_tokens_details"] = {{"cached_tokens", cached}};
    return out;
  }

  std::string embeddings(const answer_states& answers) const {
    json data = json::array();
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto& values = answers[i].finished->embedding();
      json one = {{"object", "embedding"}, {"index", i}};
      if (plan_.base64)
        one["embedding"] =
            base64_of_floats({values.data(), static_cast<std::size_t>(values.size())});
      else
        one["embedding"] = std::vector<float>(values.begin(), values.end());
      data.push_back(std::move(one));
    }
    return dumped({{"object", "list"},
                   {"data", std::move(data)},
                   {"model", plan_.model},
                   {"usage", usage(answers)}});
  }

  reply_plan plan_;
  reply_identity identity_;
  bool chat_;
  std::vector<bool> opened_;
  std::vector<std::uint64_t> offsets_;  // of each answer: characters told with log-probabilities
};

}  // namespace

std::unique_ptr<answer_writer> make_openai_writer(const reply_plan& plan, reply_identity identity) {
  return std::make_unique<openai_writer>(plan, std::move(identity));
}

}  // namespace troupe::http
