#include "cluster/journal/crc32c.hpp"

#include <array>

namespace troupe::journal {
namespace {

constexpr std::uint32_t polynomial = 0x82f63b78;

constexpr std::uint32_t shifted(std::uint32_t value, int bits) {
  for (int i = 0; i < bits; ++i) value = (value >> 1) ^ (value & 1 ? polynomial : 0);
  return value;
}

// tables[k][b]: what byte b does to the CRC when k more bytes follow it.
constexpr auto make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> out{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) out[0][byte] = shifted(byte, 8);
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      out[k][byte] = (out[k - 1][byte] >> 8) ^ out[0][out[k - 1][byte] & 255];
  return out;
}

constexpr auto tables = make_tables();

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < 4; ++i)
      next ^= tables[7 - i][(byte_at(bytes, at + i) ^ (crc >> (8 * i))) & 255];
    for (std::size_t i = 4; i < 8; ++i) next ^= tables[7 - i][byte_at(bytes, at + i)];
    crc = next;
  }
  for (; at < bytes.size(); ++at) crc = (crc >> 8) ^ tables[0][(crc ^ byte_at(bytes, at)) & 255];
  return ~crc;
}

std::uint32_t crc32c_reference(std::string_view bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  for (std::size_t at = 0; at < bytes.size(); ++at) crc = shifted(crc ^ byte_at(bytes, at), 8);
  return ~crc;
}

}  // namespace troupe::journal
