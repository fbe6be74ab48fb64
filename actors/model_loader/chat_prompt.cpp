#include "actors/model_loader/chat_prompt.hpp"

#include <string_view>

namespace troupe {
namespace {

using kernels::chat_json;

constexpr std::size_t messages_max = 4096;
constexpr int nesting_max = 64;  // deeper than any conversation is

error invalid(std::string message, std::string mend = {}) {
  return {error_code::invalid_argument, std::move(message), std::move(mend)};
}

result<chat_json> read_json(std::string_view what, const std::string& text) {
  bool too_deep = false;
  const auto watch = [&](int depth, chat_json::parse_event_t, chat_json&) {
    too_deep |= depth > nesting_max;
    return !too_deep;
  };
  chat_json value = chat_json::parse(text, watch, false);
  if (too_deep)
    return invalid(std::string(what) + " is nested deeper than " + std::to_string(nesting_max));
  if (value.is_discarded()) return invalid(std::string(what) + " is no JSON");
  return value;
}

result<chat_json> read_messages(const std::string& text) {
  auto messages = read_json("the chat's messages", text);
  if (!messages) return messages;
  if (!messages->is_array() || messages->empty() || messages->size() > messages_max)
    return invalid("the chat's messages are no array of 1 to " + std::to_string(messages_max));
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const chat_json& one = (*messages)[i];
    if (!one.is_object() || !one.contains("role") || !one["role"].is_string())
      return invalid("message " + std::to_string(i) + " of the chat has no role",
                     "a message is an object with role and content");
  }
  return messages;
}

result<kernels::chat_context> read_chat(const proto::ChatPrompt& chat) {
  kernels::chat_context context;
  auto messages = read_messages(chat.messages_json());
  if (!messages) return messages.failure();
  context.messages = std::move(*messages);
  if (!chat.tools_json().empty()) {
    auto tools = read_json("the chat's tools", chat.tools_json());
    if (!tools) return tools.failure();
    if (!tools->is_array()) return invalid("the chat's tools are no array");
    if (!tools->empty()) context.tools = std::move(*tools);
  }
  if (!chat.variables_json().empty()) {
    auto variables = read_json("the chat's variables", chat.variables_json());
    if (!variables) return variables.failure();
    if (!variables->is_object()) return invalid("the chat's variables are no object");
    context.variables = std::move(*variables);
  }
  return context;
}

}  // namespace

chat_facts chat_facts_of(const kernels::gguf_file& file, const kernels::tokenizer& words) {
  chat_facts facts;
  if (const auto first = words.beginning()) facts.beginning_text = words.piece(*first, true);
  const auto end = file.unsigned_number("tokenizer.ggml.eos_token_id");
  if (end && *end && **end < words.vocabulary_size())
    facts.end_text = words.piece(static_cast<kernels::token_id>(**end), true);
  const auto source = file.text("tokenizer.chat_template");
  if (!source) {
    facts.has_template = true;
    facts.failure = source.failure().text();
  } else if (*source) {
    facts.has_template = true;
    auto parsed = kernels::chat_template::parse(**source);
    if (parsed)
      facts.rendering = std::move(*parsed);
    else
      facts.failure = parsed.failure().text();
  }
  return facts;
}

result<std::vector<kernels::token_id>> chat_prompt_ids(const chat_facts& facts,
                                                       const kernels::tokenizer& words,
                                                       const std::string& model,
                                                       const proto::ChatPrompt& chat,
                                                       std::chrono::local_seconds now) {
  if (!facts.has_template)
    return error{error_code::unsupported, "model " + model + " has no chat template",
                 "give the whole prompt as text"};
  if (!facts.rendering)
    return error{error_code::unsupported,
                 "the chat template of model " + model + " cannot be run: " + facts.failure,
                 "give the whole prompt as text"};
  auto context = read_chat(chat);
  if (!context) return context.failure();
  context->add_generation_prompt = true;
  context->bos_token = facts.beginning_text;
  context->eos_token = facts.end_text;
  context->now = now;
  const auto text = facts.rendering->render(*context);
  if (!text)
    return error{text.failure().code,
                 "the chat template of model " + model + ": " + text.failure().message,
                 text.failure().mend};
  const bool begun = !facts.beginning_text.empty() && text->starts_with(facts.beginning_text);
  return words.encode(*text, {.add_beginning = !begun, .parse_special = true});
}

}  // namespace troupe
