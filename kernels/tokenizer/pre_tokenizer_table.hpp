// The pre-tokenizers of byte-level BPE, one row each: which names of tokenizer.ggml.pre mean it,
// the patterns that cut a text into words, and what else hangs on the name.
//
// Notation: PCRE2. The patterns of a row are applied one after another: each cuts the pieces that
// the ones before left, and what lies between two matches is a piece too. \s and \S mean the
// property White_Space; \p{L} \p{N} \p{P} \p{S} \p{M} are Unicode 15.1 categories, \p{La} letters
// beyond ASCII. A pattern that names a character beyond ASCII
// (\x{...}) may not use \p.
// Source: the tokenizers' own published patterns, in the form in which llama.cpp applies them;
// where the two differ, ids follow llama.cpp, since its files name these rows.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace troupe::kernels {

struct pre_tokenizer_row {
  std::span<const std::string_view> names;
  std::span<const std::string_view> patterns;
  bool ignore_merges = false;  // a word that is a token is taken whole, whatever the merges say
  bool add_beginning = false;  // where tokenizer.ggml.add_bos_token is absent
};

std::span<const pre_tokenizer_row> pre_tokenizer_table();

// nullptr for an unknown name. "" is "default".
const pre_tokenizer_row* find_pre_tokenizer(std::string_view name);

// Every name, comma between: for messages.
std::string pre_tokenizer_names();

}  // namespace troupe::kernels
