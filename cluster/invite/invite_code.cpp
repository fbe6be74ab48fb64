#include "cluster/invite/invite_code.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include "cluster/link/curve.hpp"

namespace troupe::invite {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t code_digits = 26, check_digits = 2;

std::array<std::uint8_t, 32> sha256(std::string_view word, std::span<const std::uint8_t> bits) {
  std::string text(word);
  text.append(reinterpret_cast<const char*>(bits.data()), bits.size());
  std::array<std::uint8_t, 32> out{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr) != 1) out = {};
  return out;
}

int digit_of(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  const std::size_t at = alphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// 10 bits of a digest, as two digits.
std::array<int, check_digits> check_of(std::span<const std::uint8_t> bits) {
  const auto digest = sha256("troupe invite check", bits);
  return {digest[0] & 31, digest[1] & 31};
}

}  // namespace

result<invite_code> invite_code::draw() {
  invite_code out;
  if (::getentropy(out.bits_.data(), out.bits_.size()) != 0)
    return error{error_code::internal, "the system gives no random numbers", ""};
  return out;
}

std::optional<invite_code> invite_code::parse(std::string_view text) {
  std::array<int, code_digits + check_digits> digits{};
  std::size_t count = 0;
  for (const char c : text) {
    if (c == '-' || c == ' ') continue;
    const int digit = digit_of(c);
    if (digit < 0 || count == digits.size()) return std::nullopt;
    digits[count++] = digit;
  }
  if (count != digits.size() || digits[0] > 7) return std::nullopt;  // the first two bits are zero
  invite_code out;
  std::uint32_t held = static_cast<std::uint32_t>(digits[0]);
  int bits = 3;
  std::size_t byte = 0;
  for (std::size_t i = 1; i < code_digits; ++i) {
    held = held << 5 | static_cast<std::uint32_t>(digits[i]);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out.bits_[byte++] = static_cast<std::uint8_t>(held >> bits);
  }
  const auto check = check_of(out.bits_);
  if (check[0] != digits[code_digits] || check[1] != digits[code_digits + 1]) return std::nullopt;
  return out;
}

std::string invite_code::text() const {
  std::string digits;
  std::uint32_t held = 0;
  int bits = 2;  // two zero bits ahead
  for (const std::uint8_t byte : bits_) {
    held = held << 8 | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      digits += alphabet[held >> bits & 31];
    }
  }
  for (const int digit : check_of(bits_)) digits += alphabet[static_cast<std::size_t>(digit)];
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i % 4 == 0) out += '-';
    out += digits[i];
  }
  return out;
}

result<link::door_keys> invite_code::one_time_keys() const {
  const auto door = link::pair_of(keys::secret_key(sha256("troupe invite door", bits_)));
  const auto guest = link::pair_of(keys::secret_key(sha256("troupe invite guest", bits_)));
  if (!door) return door.failure();
  if (!guest) return guest.failure();
  return link::door_keys{*door, *guest};
}

}  // namespace troupe::invite
