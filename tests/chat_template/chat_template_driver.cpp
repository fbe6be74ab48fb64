// Renders chat templates for compare_with_jinja2.py: one JSON object on each line of the input
// (template, messages, and what else a context has), one on each line of the output: text, or
// error and code.
#include <iostream>
#include <string>

#include "kernels/chat_template/chat_template.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

chat_json failed(const char* stage, const error& e) {
  return {{"stage", stage}, {"code", name_of(e.code)}, {"error", e.text()}};
}

chat_json rendered(const chat_json& request) {
  const auto parsed = chat_template::parse(request.at("template").get<std::string>());
  if (!parsed.ok()) return failed("parse", parsed.failure());
  chat_context context;
  context.messages = request.value("messages", chat_json::array());
  context.add_generation_prompt = request.value("add_generation_prompt", true);
  context.bos_token = request.value("bos_token", "<s>");
  context.eos_token = request.value("eos_token", "</s>");
  if (request.contains("tools") && !request["tools"].is_null()) context.tools = request["tools"];
  context.variables = request.value("variables", chat_json::object());
  context.now = std::chrono::local_seconds(std::chrono::seconds(request.value("now", 0LL)));
  const auto text = parsed->render(context);
  if (!text.ok()) return failed("render", text.failure());
  return {{"text", *text}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << rendered(chat_json::parse(line)).dump() << "\n";
}
