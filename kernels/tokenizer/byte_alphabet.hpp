// The alphabet in which byte-level vocabularies are written: each of the 256 bytes is one visible
// character. Printable Latin-1 stands for itself; the other 68 bytes, in order, are U+0100 to
// U+0143. Source: GPT-2's encoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::kernels::byte_alphabet {

// The character for a byte.
char32_t letter(std::uint8_t byte);

// The bytes that a text in the alphabet stands for; nothing where it has a character from outside.
std::optional<std::string> to_bytes(std::string_view text);

// Bytes written in the alphabet.
std::string from_bytes(std::string_view bytes);

}  // namespace troupe::kernels::byte_alphabet
