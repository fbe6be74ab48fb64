// A GGUF file's vocabulary, read and checked once: texts, kinds, scores and the tokens with a
// meaning of their own. Both kinds of tokenizer stand on it. Immutable after read().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/gguf/gguf.hpp"
#include "kernels/tokenizer/token_texts.hpp"

namespace troupe::kernels {

inline constexpr std::size_t vocabulary_tokens_max = std::size_t{1} << 22;
inline constexpr std::size_t merges_max = std::size_t{1} << 24;

// GGUF's numbers (tokenizer.ggml.token_type).
enum class token_kind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

struct vocabulary {
  token_texts texts;  // as written in the file
  std::vector<token_kind> kinds;
  std::vector<float> scores;  // finite; 0 where the file has none
  std::vector<bool>
      strips_right;  // white space after this token's text goes with it (Phi-3's control tokens)
  std::optional<token_id> beginning;
  std::optional<token_id> unknown;
  std::vector<token_id> ends;            // ascending
  std::optional<bool> add_beginning;     // what the file says, if it says
  std::optional<bool> add_space_prefix;  // likewise

  std::size_t size() const { return texts.size(); }

  // Refuses (data_corrupt, unsupported) what cannot be served, naming the key and the value.
  // `default_ids`: the kind's own numbers for beginning, end and unknown where the file names none
  // and the vocabulary has them.
  struct default_ids {
    std::optional<token_id> beginning, end, unknown;
  };
  static result<vocabulary> read(const gguf_file& file, default_ids defaults);
};

// The byte that a text of the form <0xNN> names.
std::optional<std::uint8_t> named_byte(std::string_view text);

// A string array of the file; nullptr where the key is absent, data_corrupt where it is something
// else.
result<const std::vector<std::string_view>*> find_texts(const gguf_file& file,
                                                        std::string_view key);

}  // namespace troupe::kernels
