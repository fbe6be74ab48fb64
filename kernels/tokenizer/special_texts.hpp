// Finds the texts of special tokens inside a prompt before it is cut into words.
//
// A longer text goes before a shorter one wherever it stands; of equal lengths the lower number
// goes first; matches of one token are taken from the left. User-defined tokens are always found,
// control and unknown tokens only on demand. Immutable; any thread may call.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "kernels/tokenizer/vocabulary.hpp"

namespace troupe::kernels {

class special_texts {
 public:
  explicit special_texts(const vocabulary& words);

  struct fragment {
    std::string_view text;
    token_id id = -1;  // -1: plain text; else the token that `text` means
  };
  // In order; plain fragments are not empty. White space that a token strips is in no fragment.
  std::vector<fragment> split(std::string_view text, bool parse_special) const;

 private:
  struct special {
    std::string_view text;  // in the vocabulary
    token_id id = -1;
    bool on_demand = false;
    bool strips_right = false;
  };
  // A node of the tree of texts; children are sorted by byte.
  struct node {
    std::vector<std::pair<unsigned char, std::uint32_t>> children;
    std::vector<std::uint32_t> ends;  // places in specials_
  };

  void grow(std::uint32_t place);
  std::vector<bool> present(std::string_view text) const;

  std::vector<special> specials_;  // in order of precedence
  std::vector<node> tree_;
  std::array<std::uint32_t, 256> roots_{};  // first byte to node, 0: none
};

}  // namespace troupe::kernels
