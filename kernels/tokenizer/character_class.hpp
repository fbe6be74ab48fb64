// What a pre-tokenizer needs to know of a character, as one byte: an ASCII character is itself, any
// other is its class. Unicode 15.1 general categories (utf8proc knows 15.0; the characters
// that 15.1 added stand in a table).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::kernels {

enum class character_class : std::uint8_t {
  letter = 0x80,       // L
  number = 0x81,       // N
  punctuation = 0x82,  // P
  symbol = 0x83,       // S
  mark = 0x84,         // M
  white_space = 0x85,  // the property White_Space, whatever the category
  other = 0x86,        // controls, format, private, unassigned
};

// Of a character beyond ASCII.
character_class class_of(char32_t code);

// One byte for each character of valid UTF-8.
void collapse(std::string_view text, std::string& collapsed);

}  // namespace troupe::kernels
