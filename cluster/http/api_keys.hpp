// API keys as they are kept: a name, scopes, and a salted SHA-256 of the key. The key itself is
// shown once, when it is made, and kept nowhere.
//
// A file has one key a line: "v1 NAME SCOPES SALT HASH" (SALT 32, HASH 64 hexadecimal digits);
// lines that begin with # and empty ones are passed over. Threading: immutable once read. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/http/scopes.hpp"
#include "config/outcome.hpp"

namespace troupe::http {

struct api_key {
  std::string name;  // 1 to 64 of A-Z a-z 0-9 . _ -
  scope_set scopes;
  std::array<std::uint8_t, 16> salt{};
  std::array<std::uint8_t, 32> hash{};  // SHA-256 of salt and key
  bool operator==(const api_key&) const = default;
};

class key_list {
 public:
  static constexpr std::size_t keys_max = 1024;
  static constexpr std::size_t token_bytes_max = 256;

  key_list() = default;
  // `shown` names the file in messages; no message holds anything that could be a key.
  static result<key_list> parse(std::string_view text, std::string_view shown);

  // The key that was sent; null: none of these. Takes the same time whichever it is: each key's
  // hash is computed and compared, without an early end.
  const api_key* find(std::string_view token) const;
  const std::vector<api_key>& keys() const { return keys_; }

 private:
  std::vector<api_key> keys_;
};

bool is_key_name(std::string_view name);
std::string line_of(const api_key& key);

inline constexpr std::size_t key_random_bytes = 48;
struct made_key {
  std::string token;  // to be shown once: "tk-" and 64 hexadecimal digits
  api_key key;
};
// From key_random_bytes of randomness.
made_key make_key(std::string name, scope_set scopes,
                  const std::array<std::uint8_t, key_random_bytes>& random);

}  // namespace troupe::http
