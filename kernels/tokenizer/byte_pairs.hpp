// Merges the bytes of one word into tokens by the rank of their pairs: of all neighbours, the pair
// with the lowest rank is merged first, the leftmost among equals, until no pair has a rank. O(n
// log n) in the word's length.
//
// A symbol is a token's number, or, from vocabulary size on, a text that merges name but no token
// has (such a symbol at the end is taken apart again). Immutable after make(); a scratch belongs to
// one thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"

namespace troupe::kernels {

class byte_pairs {
 public:
  using symbol = std::uint32_t;
  static constexpr symbol no_symbol = 0xFFFFFFFFu;

  // `bytes_of`: what each token stands for in the byte alphabet, "" where it is outside of it.
  // `merges`: as the file has them, "left right" in the alphabet, by rank. An entry without both
  // parts has no meaning and is passed over.
  static result<byte_pairs> make(std::span<const std::string> bytes_of,
                                 std::span<const std::string_view> merges);

  struct scratch {
    std::vector<symbol> symbols;
    std::vector<std::uint32_t> next, previous, ranks;
    std::vector<std::uint64_t> heap;  // rank above place
  };

  // Appends the word's tokens. A byte that has no token is left out.
  void encode(std::string_view word, scratch& room, std::vector<token_id>& out) const;

 private:
  struct rule {
    std::uint32_t rank = no_symbol;
    symbol merged = no_symbol;
  };
  struct slot {
    std::uint64_t pair = ~std::uint64_t{0};
    rule what;
  };
  struct halves {
    symbol left = no_symbol;
    symbol right = no_symbol;
  };

  rule find(symbol left, symbol right) const;
  void insert(symbol left, symbol right, rule what);
  void merge_short(std::vector<symbol>& symbols, std::vector<std::uint32_t>& ranks) const;
  void merge_long(scratch& room) const;
  void give(symbol each, std::vector<token_id>& out) const;

  std::size_t tokens_ = 0;
  std::array<symbol, 256> byte_symbols_{};
  std::vector<halves> extra_;  // of the symbols that are no tokens
  std::vector<slot> slots_;
};

}  // namespace troupe::kernels
