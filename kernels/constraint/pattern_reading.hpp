// A pattern's text, read into pieces. The grammar is in pattern.hpp.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::kernels::constraint {

using character_ranges = std::vector<std::pair<char32_t, char32_t>>;

struct pattern_piece {
  enum class form : std::uint8_t { characters, sequence, choice, repeat };
  form kind = form::sequence;
  character_ranges ranges = {};           // characters: one of these, sorted, apart
  std::vector<pattern_piece> parts = {};  // repeat: one part
  std::uint32_t least = 0, most = 0;      // repeat; most may be length_bounds::none
};

struct pattern_alternative {
  pattern_piece piece;
  bool from_beginning = false;  // '^'
  bool to_end = false;          // '$'
};
using pattern_alternatives = std::vector<pattern_alternative>;

result<pattern_alternatives> read_pattern(std::string_view pattern);

}  // namespace troupe::kernels::constraint
