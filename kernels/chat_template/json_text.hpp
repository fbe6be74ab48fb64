// Values as JSON, written as Python's json.dumps writes them.
#pragma once

#include <optional>
#include <string>

#include "kernels/chat_template/chat_template.hpp"
#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

struct json_style {
  bool only_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; none: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Fails for what JSON has no form for: undefined, functions, iterators.
void add_json(text_builder& out, const value& v, const json_style& style);

// What a JSON document holds, as values that point into it: it has to outlive the rendering.
value value_of_json(rendering& run, const chat_json& document);

}  // namespace troupe::kernels::chat
