#include "tools/console/key_bytes.hpp"

#include <optional>

namespace troupe::console {
namespace {

constexpr std::size_t sequence_bytes_max = 32;

std::optional<key> key_of_final(char final, const std::string& parameters) {
  switch (final) {
    case 'A':
      return key::up;
    case 'B':
      return key::down;
    case 'C':
      return key::right;
    case 'D':
      return key::left;
    case 'H':
      return key::home;
    case 'F':
      return key::end;
    case 'Z':
      return key::back_tab;
    case 'M':
      return key::enter;  // of the number pad (ESC O M)
    case '~':
      if (parameters == "1" || parameters == "7") return key::home;
      if (parameters == "4" || parameters == "8") return key::end;
      if (parameters == "5") return key::page_up;
      if (parameters == "6") return key::page_down;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// Length of the sequence at the front, which begins with ESC [ or ESC O; 0: it is not whole.
std::size_t sequence_length(const std::string& bytes) {
  if (bytes[1] == 'O') return bytes.size() >= 3 ? 3 : 0;
  for (std::size_t i = 2; i < bytes.size(); ++i)
    if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
  return bytes.size() > sequence_bytes_max ? bytes.size() : 0;
}

std::size_t character_length(unsigned char first) {
  return first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
}

}  // namespace

std::vector<key_press> keys_of(std::string& bytes, bool waited) {
  std::vector<key_press> out;
  while (!bytes.empty()) {
    const char first = bytes[0];
    if (first == '\x1b') {
      if (bytes.size() == 1) {
        if (!waited) break;
        out.push_back({key::escape});
        bytes.clear();
      } else if (bytes[1] == '[' || bytes[1] == 'O') {
        const std::size_t length = sequence_length(bytes);
        if (length == 0) {
          if (!waited) break;
          bytes.clear();  // half a sequence that never went on
          break;
        }
        if (const auto found = key_of_final(bytes[length - 1], bytes.substr(2, length - 3)))
          out.push_back({*found});
        bytes.erase(0, length);
      } else if (bytes[1] == '\x1b') {
        out.push_back({key::escape});
        bytes.erase(0, 1);
      } else {
        bytes.erase(0,
                    1 + character_length(static_cast<unsigned char>(bytes[1])));  // Alt and a key
      }
      continue;
    }
    const auto byte = static_cast<unsigned char>(first);
    if (byte < 0x20 || byte == 0x7f) {
      if (byte == '\t') out.push_back({key::tab});
      if (byte == '\r' || byte == '\n') out.push_back({key::enter});
      if (byte == 0x7f || byte == 0x08) out.push_back({key::backspace});
      if (byte == 0x03) out.push_back({key::interrupt});
      bytes.erase(0, 1);
      continue;
    }
    const std::size_t length = character_length(byte);
    if (bytes.size() < length) {
      if (!waited) break;
      bytes.clear();
      break;
    }
    if (byte < 0x80 || length > 1) out.push_back({key::character, bytes.substr(0, length)});
    bytes.erase(0, length);
  }
  return out;
}

}  // namespace troupe::console
