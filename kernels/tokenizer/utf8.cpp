#include "kernels/tokenizer/utf8.hpp"

#include <cstring>

namespace troupe::kernels::utf8 {
namespace {

// How a lead byte goes on: bytes that follow, and what the first of them may be (table 3-7 of the
// Unicode standard).
struct lead {
  std::size_t follow = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  unsigned char payload = 0;
};

std::optional<lead> read_lead(unsigned char byte) {
  const auto bits = [byte](int mask) { return static_cast<unsigned char>(byte & mask); };
  if (byte >= 0xC2 && byte <= 0xDF) return lead{1, 0x80, 0xBF, bits(0x1F)};
  if (byte == 0xE0) return lead{2, 0xA0, 0xBF, bits(0x0F)};
  if (byte == 0xED) return lead{2, 0x80, 0x9F, bits(0x0F)};
  if (byte >= 0xE1 && byte <= 0xEF) return lead{2, 0x80, 0xBF, bits(0x0F)};
  if (byte == 0xF0) return lead{3, 0x90, 0xBF, bits(0x07)};
  if (byte >= 0xF1 && byte <= 0xF3) return lead{3, 0x80, 0xBF, bits(0x07)};
  if (byte == 0xF4) return lead{3, 0x80, 0x8F, bits(0x07)};
  return std::nullopt;
}

// Bytes below 0x80 at the front, counted eight at a time.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, text.data() + at, 8);
    if (eight & 0x8080808080808080u) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

front read_front(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {front::form::whole, 1, first};
  const std::optional<lead> start = read_lead(first);
  if (!start) return {front::form::broken, 1, 0};
  char32_t code = start->payload;
  for (std::size_t i = 1; i <= start->follow; ++i) {
    if (i == text.size()) return {front::form::open, text.size(), 0};
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned char low = i == 1 ? start->low : 0x80;
    const unsigned char high = i == 1 ? start->high : 0xBF;
    if (byte < low || byte > high) return {front::form::broken, i, 0};
    code = code << 6 | (byte & 0x3Fu);
  }
  return {front::form::whole, start->follow + 1, code};
}

std::optional<std::size_t> find_invalid(std::string_view text) {
  std::size_t at = 0;
  while ((at += ascii_prefix(text.substr(at))) < text.size()) {
    const front next = read_front(text.substr(at));
    if (next.state != front::form::whole) return at;
    at += next.size;
  }
  return std::nullopt;
}

bool is_ascii(std::string_view text) {
  return ascii_prefix(text) == text.size();
}

void append(std::string& out, char32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace troupe::kernels::utf8
