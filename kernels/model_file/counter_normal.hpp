// Bell-shaped numbers by position: value i of a stream is a function of (stream, i) alone, in
// integer arithmetic and two exact roundings, so that any machine and any number of threads make
// the same weights.
//
// Source: the mixing function is splitmix64's finalizer. The number of ones among 32 bits is
// binomial (deviation sqrt(8)); two 16-bit uniforms more fill the gaps between whole numbers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace troupe::kernels {

constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class counter_normal {
 public:
  // Mean 0 and the deviation; one stream for each (seed, name).
  counter_normal(std::uint64_t seed, std::string_view name, double deviation)
      : unit_(static_cast<float>(deviation / (65536.0 * std::sqrt(8.0 + 1.0 / 6.0)))) {
    key_ = mixed(seed + increment);
    for (const char c : name) key_ = mixed(key_ + increment + static_cast<unsigned char>(c));
  }

  float at(std::uint64_t index) const {
    const std::uint64_t bits = mixed(key_ + (index + 1) * increment);
    const int ones = std::popcount(static_cast<std::uint32_t>(bits)) - 16;
    const auto fine = static_cast<std::int32_t>((bits >> 32 & 0xffff) + (bits >> 48)) - 65535;
    return static_cast<float>(ones * 65536 + fine) * unit_;
  }

 private:
  static constexpr std::uint64_t increment = 0x9e3779b97f4a7c15ULL;
  std::uint64_t key_ = 0;
  float unit_;
};

}  // namespace troupe::kernels
