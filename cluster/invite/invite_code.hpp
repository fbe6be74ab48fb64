// An invitation's code: 128 random bits, from which both sides make the keys of a one-time link.
//
// Written as 28 characters in groups of four: Crockford's base 32 (no I, L, O, U; read in either
// case, with or without dashes) of 130 bits, of which the first two are zero, and two characters
// that catch a mistyped one. The keys are SHA-256 of the code with a word for each side, taken as
// Curve25519 secrets; so whoever lacks the code can neither be the host nor the guest, and what was
// recorded does not help to guess it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/link/one_time_door.hpp"

namespace troupe::invite {

class invite_code {
 public:
  static result<invite_code> draw();
  // nullopt: it is not whole, or mistyped.
  static std::optional<invite_code> parse(std::string_view text);
  std::string text() const;
  result<link::door_keys> one_time_keys() const;
  bool operator==(const invite_code&) const = default;

 private:
  std::array<std::uint8_t, 16> bits_{};
};

}  // namespace troupe::invite
