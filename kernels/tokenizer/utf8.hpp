// UTF-8, strict: no overlong forms, no surrogates, nothing past U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::kernels::utf8 {

// What stands at the front of a text. `size` bytes belong to it: a whole character; for `broken`,
// the longest part that begins a character but can never become one (at least 1 byte); for `open`,
// all the rest, which more bytes may complete.
struct front {
  enum class form { whole, broken, open };
  form state = form::broken;
  std::size_t size = 1;
  char32_t code = 0;  // whole only
};

// text is not empty.
front read_front(std::string_view text);

// The byte offset of the first thing that is not UTF-8, or nothing.
std::optional<std::size_t> find_invalid(std::string_view text);

// True where every byte is below 0x80.
bool is_ascii(std::string_view text);

void append(std::string& out, char32_t code);  // code is a Unicode scalar value

}  // namespace troupe::kernels::utf8
