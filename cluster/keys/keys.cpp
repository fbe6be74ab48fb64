#include "cluster/keys/keys.hpp"

namespace troupe::keys::details {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::array<std::uint8_t, key_bytes>> bytes_of_hex(std::string_view hex) {
  if (hex.size() != 2 * key_bytes) return std::nullopt;
  std::array<std::uint8_t, key_bytes> out{};
  for (std::size_t i = 0; i < key_bytes; ++i) {
    const int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return out;
}

std::string hex_of(const std::array<std::uint8_t, key_bytes>& bytes) {
  std::string out;
  out.reserve(2 * key_bytes);
  for (const std::uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace troupe::keys::details
