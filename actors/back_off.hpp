// Pauses before the next try: they double from `first` to `most`, each less a random part of at
// most `jitter_percent`, so that those who failed together do not come back together.
//
// Pure: what is left to chance is a function of the seed and of how often it was drawn.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "actors/core.hpp"

namespace troupe {

struct back_off {
  std::chrono::milliseconds first{100}, most{2'000};
  std::uint32_t jitter_percent = 0;

  // tries: that have failed so far, from 1.
  time_point_us pause(std::uint32_t tries, std::uint64_t draw) const {
    time_point_us whole = first;
    for (std::uint32_t i = 1; i < tries && whole < time_point_us(most); ++i) whole *= 2;
    whole = std::min(whole, time_point_us(most));
    const auto part = whole.count() * std::min(jitter_percent, 100u) / 100;
    return whole - time_point_us(static_cast<time_point_us::rep>(
                       draw % static_cast<std::uint64_t>(part + 1)));
  }
};

// splitmix64.
class seeded_draws {
 public:
  explicit seeded_draws(std::uint64_t seed = 0) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t x = state_ += 0x9e37'79b9'7f4a'7c15u;
    x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11ebu;
    return x ^ (x >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace troupe
