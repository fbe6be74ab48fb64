#include "kernels/chat_template/string_literal.hpp"

#include <charconv>

#include "kernels/chat_template/failure.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

char plain_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

std::size_t digits_after(char c) {
  return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
}

char32_t read_code(std::string_view digits, int base, std::size_t wanted) {
  std::uint32_t code = 0;
  const auto [end, wrong] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
  if (wrong != std::errc{} || end != digits.data() + digits.size() || digits.size() < wanted)
    fail("a string has an escape without its digits");
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
    fail("a string has an escape that is no character: " + std::string(digits));
  return static_cast<char32_t>(code);
}

}  // namespace

std::string read_string_literal(std::string_view inside) {
  std::string out;
  for (std::size_t at = 0; at < inside.size(); ++at) {
    if (inside[at] != '\\' || at + 1 == inside.size()) {
      out += inside[at];
      continue;
    }
    const char c = inside[++at];
    if (const char plain = plain_escape(c)) {
      out += plain;
    } else if (c == '\n') {  // a broken line goes on
    } else if (const std::size_t digits = digits_after(c)) {
      utf8::append(out, read_code(inside.substr(at + 1, digits), 16, digits));
      at += digits;
    } else if (c >= '0' && c <= '7') {
      std::size_t size = 1;
      while (size < 3 && at + size < inside.size() && inside[at + size] >= '0' &&
             inside[at + size] <= '7')
        ++size;
      utf8::append(out, read_code(inside.substr(at, size), 8, 1));
      at += size - 1;
    } else if (c == 'N') {
      fail_unsupported("a string has an escape by name, \\N", "write the character itself");
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace troupe::kernels::chat
