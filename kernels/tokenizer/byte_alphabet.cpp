#include "kernels/tokenizer/byte_alphabet.hpp"

#include <array>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::byte_alphabet {
namespace {

constexpr char32_t first_shifted = 0x100;
constexpr int shifted_count = 68;

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct tables {
  std::array<char32_t, 256> letter_of{};
  std::array<std::uint8_t, shifted_count> byte_of_shifted{};
};

constexpr tables make_tables() {
  tables made;
  int shifted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      made.letter_of[byte] = static_cast<char32_t>(byte);
      continue;
    }
    made.letter_of[byte] = first_shifted + static_cast<char32_t>(shifted);
    made.byte_of_shifted[shifted++] = static_cast<std::uint8_t>(byte);
  }
  return made;
}

constexpr tables both = make_tables();

}  // namespace

char32_t letter(std::uint8_t byte) {
  return both.letter_of[byte];
}

std::optional<std::string> to_bytes(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const utf8::front next = utf8::read_front(text);
    if (next.state != utf8::front::form::whole) return std::nullopt;
    if (next.code < 256 && stands_for_itself(static_cast<int>(next.code))) {
      bytes += static_cast<char>(next.code);
    } else if (next.code >= first_shifted && next.code < first_shifted + shifted_count) {
      bytes += static_cast<char>(both.byte_of_shifted[next.code - first_shifted]);
    } else {
      return std::nullopt;
    }
    text.remove_prefix(next.size);
  }
  return bytes;
}

std::string from_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) utf8::append(text, letter(static_cast<std::uint8_t>(byte)));
  return text;
}

}  // namespace troupe::kernels::byte_alphabet
