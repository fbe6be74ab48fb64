#include "cluster/http/api_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <optional>
#include <span>

namespace troupe::http {
namespace {

constexpr std::string_view version = "v1", token_prefix = "tk-";
constexpr std::string_view how_to_make =
    "make one with `troupe api-key make --name NAME --scope submitter,viewer --file FILE`";

std::array<std::uint8_t, 32> hash_of(const api_key& key, std::string_view token) {
  std::array<std::uint8_t, 16 + key_list::token_bytes_max> bytes{};
  std::copy(key.salt.begin(), key.salt.end(), bytes.begin());
  std::copy(token.begin(), token.end(), bytes.begin() + 16);
  std::array<std::uint8_t, 32> out{};
  SHA256(bytes.data(), 16 + token.size(), out.data());
  return out;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0) return false;
    out[i / 2] = static_cast<std::uint8_t>(out[i / 2] << 4 | value);
  }
  return true;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

// The words of a line that is none are not shown: they may be a key.
std::optional<std::string> fault_of(std::span<const std::string_view> words, api_key& out) {
  if (words[0] != version)
    return "is no line of an API key; plain keys are no longer kept in this file";
  if (words.size() != 5) return "has " + std::to_string(words.size()) + " words in place of five";
  if (!is_key_name(words[1])) return "names its key with other characters than A-Z a-z 0-9 . _ -";
  const auto scopes = scopes_of(words[2]);
  if (!scopes)
    return "has a scope that is none; there are viewer, submitter, operator, admin, chaos";
  out.name = words[1];
  out.scopes = *scopes;
  if (!read_hex(words[3], out.salt) || !read_hex(words[4], out.hash))
    return "has a salt or a hash of another form";
  return std::nullopt;
}

}  // namespace

bool is_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

result<key_list> key_list::parse(std::string_view text, std::string_view shown) {
  key_list out;
  const auto wrong = [&](std::size_t number, const std::string& what) {
    return error{error_code::invalid_argument,
                 std::string(shown) + " line " + std::to_string(number) + " " + what,
                 "remove that line; " + std::string(how_to_make)};
  };
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto words = words_of(line);
    if (words.empty() || words[0].starts_with('#')) continue;
    api_key key;
    if (const auto fault = fault_of(words, key)) return wrong(number, *fault);
    for (const api_key& known : out.keys_)
      if (known.name == key.name) return wrong(number, "has the name of another key: " + key.name);
    if (out.keys_.size() == keys_max)
      return wrong(number, "is one more than the " + std::to_string(keys_max) + " keys allowed");
    out.keys_.push_back(std::move(key));
  }
  return out;
}

const api_key* key_list::find(std::string_view token) const {
  if (token.empty() || token.size() > token_bytes_max) return nullptr;
  const api_key* found = nullptr;
  for (const api_key& key : keys_) {
    const auto hash = hash_of(key, token);
    const bool same = CRYPTO_memcmp(hash.data(), key.hash.data(), hash.size()) == 0;
    found = same ? &key : found;
  }
  return found;
}

std::string line_of(const api_key& key) {
  return std::string(version) + " " + key.name + " " + text_of(key.scopes) + " " + hex(key.salt) +
         " " + hex(key.hash);
}

made_key make_key(std::string name, scope_set scopes,
                  const std::array<std::uint8_t, key_random_bytes>& random) {
  made_key out;
  out.token = std::string(token_prefix) + hex(std::span(random).first(32));
  out.key.name = std::move(name);
  out.key.scopes = scopes;
  std::copy(random.begin() + 32, random.end(), out.key.salt.begin());
  out.key.hash = hash_of(out.key, out.token);
  return out;
}

}  // namespace troupe::http
