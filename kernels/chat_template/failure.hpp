// What goes wrong inside a chat template. Thrown inside this folder only: chat_template.cpp turns
// it into an error, so nobody outside sees an exception.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "config/outcome.hpp"

namespace troupe::kernels::chat {

// Both count from 1; a column is a character of the line.
struct source_place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

struct template_failure {
  error_code code = error_code::invalid_argument;
  std::string message;
  std::string mend;
  std::optional<source_place> at;   // empty: where the interpreter stands
  bool raised_by_template = false;  // its own words, which stand alone
};

[[noreturn]] inline void fail(std::string message, std::string mend = {}) {
  throw template_failure{
      error_code::invalid_argument, std::move(message), std::move(mend), {}, false};
}

[[noreturn]] inline void fail_unsupported(std::string message, std::string mend = {}) {
  throw template_failure{error_code::unsupported, std::move(message), std::move(mend), {}, false};
}

}  // namespace troupe::kernels::chat
