// Merges the characters of a text into tokens by score: of all neighbours whose joined text is a
// token, the pair with the highest score is merged first, the leftmost among equals. A character
// that is left over and is no token becomes its bytes' tokens (<0xNN>), or the unknown token. O(n
// log n) in the text's length. Source: SentencePiece's BPE model.
//
// Immutable after construction; a scratch belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/tokenizer/vocabulary.hpp"

namespace troupe::kernels {

class piece_pairs {
 public:
  explicit piece_pairs(const vocabulary& words);  // which outlives this

  struct candidate {
    float score;
    std::uint32_t place;
    token_id merged;
  };
  struct scratch {
    std::vector<std::uint32_t> begins;  // of each symbol in the text; one more for the end
    std::vector<std::uint32_t> next, previous;
    std::vector<token_id> merged;  // what the symbol at a place and the next one make; -1: nothing
    std::vector<candidate> heap;
  };

  // Appends the tokens of valid UTF-8 of at most 2^31 bytes. False where a character has no token,
  // no byte tokens and the vocabulary no unknown token; `out` is then unspecified.
  bool encode(std::string_view text, scratch& room, std::vector<token_id>& out) const;

  token_id find(std::string_view text) const { return index_.find(words_.texts, text); }

 private:
  bool give(std::string_view text, std::vector<token_id>& out) const;

  const vocabulary& words_;
  token_index index_;
  std::array<token_id, 256> byte_tokens_{};  // -1: none
};

}  // namespace troupe::kernels
