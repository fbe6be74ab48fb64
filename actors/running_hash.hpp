// The running hash of an answer: a 64-bit value chained over its token ids, so that whoever holds
// the same prefix holds the same value. It detects a stream that differs, not an adversary.
//
// hash(i) = mix(hash(i - 1) + (id(i) + 1) * odd constant), with splitmix64's finaliser as mix and
// running_hash_start before the first token. A token changes every later value. Worker, gateway,
// client and cache compute it alike: it is part of the wire format. Source: splitmix64 (Steele,
// Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#pragma once

#include <cstdint>

namespace troupe {

inline constexpr std::uint64_t running_hash_start = 0x7472'6f75'7065'0001u;

constexpr std::uint64_t running_hash_next(std::uint64_t previous, std::int32_t id) {
  std::uint64_t x =
      previous + (std::uint64_t{static_cast<std::uint32_t>(id)} + 1) * 0x9e37'79b9'7f4a'7c15u;
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9u;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11ebu;
  return x ^ (x >> 31);
}

// The value after `ids`, going on from `previous`.
template <class Ids>
constexpr std::uint64_t running_hash_of(const Ids& ids,
                                        std::uint64_t previous = running_hash_start) {
  for (const std::int32_t id : ids) previous = running_hash_next(previous, id);
  return previous;
}

}  // namespace troupe
