// The one layer of checked arithmetic for numbers that come from outside: a sum, product or cast
// that does not fit gives nullopt, never a wrapped value. Unsigned 64-bit throughout, as file
// formats count.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace troupe::kernels::checked {

using number = std::optional<std::uint64_t>;

constexpr number add(std::uint64_t a, std::uint64_t b) {
  if (a > std::numeric_limits<std::uint64_t>::max() - b) return std::nullopt;
  return a + b;
}

constexpr number mul(std::uint64_t a, std::uint64_t b) {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) return std::nullopt;
  return a * b;
}

// The next multiple of `alignment` that is not below `value`; nullopt where alignment is not a
// power of two.
constexpr number align_up(std::uint64_t value, std::uint64_t alignment) {
  if (!std::has_single_bit(alignment)) return std::nullopt;
  const number raised = add(value, alignment - 1);
  if (!raised) return std::nullopt;
  return *raised & ~(alignment - 1);
}

// The same value in another integer type.
template <class To, class From>
constexpr std::optional<To> narrow(From value) {
  static_assert(std::is_integral_v<To> && std::is_integral_v<From>);
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

// Whether count entries of at least entry_bytes each can lie in what is left.
constexpr bool fits(std::uint64_t count, std::uint64_t entry_bytes, std::uint64_t left) {
  const number need = mul(count, entry_bytes);
  return need && *need <= left;
}

}  // namespace troupe::kernels::checked
