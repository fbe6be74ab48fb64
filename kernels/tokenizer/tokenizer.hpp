// Text to token ids and back, by the tokenizer that a GGUF file carries: byte-level BPE ("gpt2",
// with a pre-tokenizer named by tokenizer.ggml.pre) and SentencePiece-style ("llama", with scores
// and byte fallback).
//
// Threading: immutable after make(); any thread may call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels {

// Longest text that encode takes, in bytes.
inline constexpr std::size_t encode_bytes_max = std::size_t{16} << 20;

struct encode_options {
  bool add_beginning = false;  // the beginning-of-text token where the model's tokenizer wants one
  bool parse_special =
      false;  // text such as <|eot_id|> becomes the control token; else it is plain text
};

class tokenizer {
 public:
  // Refuses (data_corrupt, unsupported) a vocabulary that it cannot serve exactly, naming the key
  // and the value.
  static result<std::shared_ptr<const tokenizer>> make(const gguf_file& file);
  virtual ~tokenizer() = default;

  // Invalid UTF-8 is refused (invalid_argument, with the byte offset), and so is a text longer than
  // encode_bytes_max. Few vocabularies cannot write every character: "gpt2" then leaves out the
  // bytes that have no token, as the models' own tokenizers do; "llama" gives the unknown token,
  // and refuses (unsupported) where it has none.
  virtual result<std::vector<token_id>> encode(std::string_view text,
                                               encode_options options) const = 0;
  // The bytes of one token: a piece may end inside a UTF-8 character. Control and unknown tokens
  // give "" unless `special`; a number outside the vocabulary gives "".
  virtual std::string_view piece(token_id id, bool special = false) const = 0;
  // Concatenated pieces; where the tokenizer puts a space before the first word, decode takes it
  // away again.
  virtual std::string decode(std::span<const token_id> ids, bool special = false) const = 0;

  virtual std::uint32_t vocabulary_size() const = 0;
  virtual std::optional<token_id> beginning() const = 0;
  virtual bool wants_beginning()
      const = 0;  // tokenizer.ggml.add_bos_token or the model kind's default
  virtual std::span<const token_id> end_tokens()
      const = 0;                              // every token that ends generation (eos, eot, eom)
  virtual std::string_view kind() const = 0;  // "gpt2", "llama"
  virtual std::string_view pre_tokenizer() const = 0;
  // SHA-256 (hex) over everything that encode and decode depend on.
  virtual const std::string& digest() const = 0;
};

// Turns a stream of tokens into whole UTF-8 text: bytes that do not yet complete a character wait;
// what can never become one is given out as U+FFFD. A pure function of the tokens fed, so that a
// replay gives the same text.
class text_stream {
 public:
  // begins: the tokens are a text from its beginning, so that a space which encode() put before the
  // first word goes, as in decode(). An answer goes on where its prompt ended: nothing is taken
  // away.
  explicit text_stream(std::shared_ptr<const tokenizer> words, bool begins = false)
      : words_(std::move(words)), begins_(begins), first_(begins) {}
  std::string push(token_id id);
  std::string finish();

 private:
  std::shared_ptr<const tokenizer> words_;
  std::string waiting_;
  bool begins_;
  bool first_;
};

}  // namespace troupe::kernels
