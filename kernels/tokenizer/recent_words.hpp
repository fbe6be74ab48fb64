// Remembers where in the output of one encode call the tokens of a word stand, so that a word that
// comes again is copied instead of merged again. A fixed number of places; a newer word takes an
// older one's. Belongs to one call.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

class recent_words {
 public:
  explicit recent_words(std::size_t text_bytes)
      : places_(std::bit_ceil(std::min<std::size_t>(places_max, text_bytes / 8 + 1))) {}

  // Appends what `merge` appends for this word: by a copy where the word has been here. The word
  // stays where it is in memory, and `out` only grows, while this lives.
  template <class Merge>
  void append(std::string_view word, std::vector<token_id>& out, Merge merge) {
    if (word.size() > word_bytes_max) return merge(word);
    const std::uint64_t hash = XXH3_64bits(word.data(), word.size());
    place& seat = places_[hash & (places_.size() - 1)];
    if (seat.word == word) {
      for (std::uint32_t i = 0; i < seat.count; ++i) out.push_back(out[seat.begin + i]);
      return;
    }
    const std::size_t begin = out.size();
    merge(word);
    seat = {word, begin, static_cast<std::uint32_t>(out.size() - begin)};
  }

 private:
  static constexpr std::size_t places_max = 16384;
  static constexpr std::size_t word_bytes_max = 256;

  struct place {
    std::string_view word;
    std::size_t begin = 0;
    std::uint32_t count = 0;
  };
  std::vector<place> places_;
};

}  // namespace troupe::kernels
