// A model's chat template: the program in a GGUF file's `tokenizer.chat_template` that turns a
// conversation into the prompt the model was trained on. The subset of Jinja2 that such templates
// use, with transformers' settings (README.md lists it), in a sandbox: a template sees what
// chat_context holds and nothing else, and every resource it takes has a bound.
//
// Immutable once parsed; any number of threads may render at once. Pure: the same template and
// context give the same text, on every machine.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "config/outcome.hpp"
#include "kernels/chat_template/chat_template_bounds.hpp"

namespace troupe::kernels {

// Ordered, since templates print objects in the order they were written in.
using chat_json = nlohmann::ordered_json;

// What the template is given. As transformers does, `tools` and `documents` are none where there
// are none, and `now` shows as the function strftime_now.
struct chat_context {
  chat_json messages = chat_json::array();  // objects: role, content, and what else they carry
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
  std::optional<chat_json> tools;                 // an array of tool descriptions
  chat_json variables = chat_json::object();      // more names for the template; they win
  std::optional<std::chrono::local_seconds> now;  // none: strftime_now is undefined
};

namespace chat {
struct program;
}

class chat_template {
 public:
  // Errors name line and column: `unsupported` for what Jinja2 has and this does not,
  // `invalid_argument` for what is no template, or too large.
  static result<chat_template> parse(std::string_view source, chat_template_bounds bounds = {});

  // The prompt. Errors are `invalid_argument` (`unsupported` for a rare method): the message of
  // the template's raise_exception as it is, what Python would have raised, or the bound that was
  // reached.
  result<std::string> render(const chat_context& context) const;

 private:
  explicit chat_template(std::shared_ptr<const chat::program> program);

  std::shared_ptr<const chat::program> program_;
};

}  // namespace troupe::kernels
