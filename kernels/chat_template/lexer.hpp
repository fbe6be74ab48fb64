// Cuts a template into text and tokens, by Jinja2's rules for delimiters and white space with
// trim_blocks and lstrip_blocks on: a block tag takes the line break that follows it and the
// blanks before it on its line, `-` takes all white space on its side, `+` leaves it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/chat_template/failure.hpp"

namespace troupe::kernels::chat {

enum class token_kind {
  text,  // outside of tags
  block_begin,
  block_end,
  variable_begin,
  variable_end,
  name,
  string,  // `text` without quotes and escapes
  integer,
  real,
  sign,  // operators and brackets
  end,
};

struct token {
  token_kind kind = token_kind::end;
  std::string text;
  std::int64_t integer = 0;
  double real = 0;
  source_place at;
};

// The last token is `end`. Throws template_failure.
std::vector<token> read_tokens(std::string_view source);

// Line breaks as "\n", and one of them at the end left out: what read_tokens expects.
std::string normal_source(std::string_view source);

}  // namespace troupe::kernels::chat
