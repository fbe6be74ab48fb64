// Any bytes as a model's chat template: refused with a message or rendered within the bounds, to
// valid UTF-8, and twice to the same.
#include <cstdint>
#include <cstdlib>

#include "kernels/chat_template/chat_template.hpp"
#include "kernels/tokenizer/utf8.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

const chat_context& conversation() {
  static const chat_context made = [] {
    chat_context context;
    context.messages = chat_json::parse(R"([
      {"role": "system", "content": " be brief\n"},
      {"role": "user", "content": "Grüße <b>世界</b> it's"},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "function": {"name": "f", "arguments": {"a": [1, 2.5, true, null]}}}]},
      {"role": "tool", "content": "3"}])");
    context.tools = chat_json::parse(R"([{"function": {"name": "f", "parameters": {}}}])");
    context.variables = chat_json::parse(R"({"n": 7, "x": 0.1, "s": "a,b"})");
    context.now = std::chrono::local_seconds(std::chrono::seconds(1785852305));
    return context;
  }();
  return made;
}

void check_message(const error& e) {
  if (e.code != error_code::invalid_argument && e.code != error_code::unsupported) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chat_template_bounds bounds;
  bounds.steps = 100'000;
  bounds.loop_turns = 2'000;
  bounds.text_bytes = 1 << 16;
  bounds.memory_bytes = 8 << 20;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = chat_template::parse(source, bounds);
  if (!parsed.ok()) {
    check_message(parsed.failure());
    return 0;
  }
  const auto text = parsed->render(conversation()), again = parsed->render(conversation());
  if (text.ok() != again.ok()) std::abort();
  if (!text.ok())
    check_message(text.failure());
  else if (*text != *again || text->size() > bounds.text_bytes || utf8::find_invalid(*text))
    std::abort();
  return 0;
}
