// The keys of the wire: Curve25519 pairs, one for each node and each client of an encrypted
// cluster.
//
// Written as 64 hexadecimal digits, which need no quotes in any shell. Who makes them is
// cluster/link/curve.hpp. Errors never repeat a secret. Threading: values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe::keys {

inline constexpr std::size_t key_bytes = 32;

namespace details {
std::optional<std::array<std::uint8_t, key_bytes>> bytes_of_hex(std::string_view hex);
std::string hex_of(const std::array<std::uint8_t, key_bytes>& bytes);
}  // namespace details

// All zero: none.
template <class Kind>
class basic_key {
 public:
  basic_key() = default;
  explicit basic_key(const std::array<std::uint8_t, key_bytes>& bytes) : bytes_(bytes) {}
  // nullopt where it is not 64 hexadecimal digits, or all of them are zero.
  static std::optional<basic_key> parse(std::string_view hex) {
    const auto bytes = details::bytes_of_hex(hex);
    if (!bytes || basic_key(*bytes).empty()) return std::nullopt;
    return basic_key(*bytes);
  }
  bool empty() const { return *this == basic_key(); }
  const std::array<std::uint8_t, key_bytes>& bytes() const { return bytes_; }
  std::string text() const { return details::hex_of(bytes_); }
  auto operator<=>(const basic_key&) const = default;

 private:
  std::array<std::uint8_t, key_bytes> bytes_{};
};

using public_key = basic_key<struct public_kind>;
using secret_key = basic_key<struct secret_kind>;

struct key_pair {
  public_key shown;
  secret_key kept;

  bool empty() const { return kept.empty(); }
};

}  // namespace troupe::keys
