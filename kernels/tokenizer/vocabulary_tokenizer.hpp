// What both kinds of tokenizer share: checks of the text, special texts, pieces, decoding and the
// answers about tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/tokenizer/digest_builder.hpp"
#include "kernels/tokenizer/special_texts.hpp"
#include "kernels/tokenizer/tokenizer.hpp"
#include "kernels/tokenizer/vocabulary.hpp"

namespace troupe::kernels {

class vocabulary_tokenizer : public tokenizer {
 public:
  result<std::vector<token_id>> encode(std::string_view text, encode_options options) const final;
  std::string_view piece(token_id id, bool special) const final;
  std::string decode(std::span<const token_id> ids, bool special) const final;
  std::uint32_t vocabulary_size() const final { return static_cast<std::uint32_t>(words_.size()); }
  std::optional<token_id> beginning() const final { return words_.beginning; }
  bool wants_beginning() const final { return wants_beginning_; }
  std::span<const token_id> end_tokens() const final { return words_.ends; }
  const std::string& digest() const final { return digest_; }

 protected:
  // `adds_beginning`: where the file does not say.
  vocabulary_tokenizer(vocabulary words, bool adds_beginning, bool strips_first_space)
      : words_(std::move(words)),
        specials_(words_),
        wants_beginning_(words_.beginning && words_.add_beginning.value_or(adds_beginning)),
        strips_first_space_(strips_first_space) {}

  // Appends the tokens of plain text; `after_special` at the front and behind a special token.
  virtual status encode_plain(std::string_view text, bool after_special,
                              std::vector<token_id>& out) const = 0;
  // The bytes a normal token stands for.
  virtual std::string normal_piece(token_id id) const = 0;

  // To be called once, when normal_piece can be.
  void make_pieces();
  // What this class adds to a digest.
  void add_to(digest_builder& digest) const;

  vocabulary words_;
  special_texts specials_;
  std::string digest_;

 private:
  token_texts pieces_;
  bool wants_beginning_;
  bool strips_first_space_;
};

result<std::shared_ptr<const tokenizer>> make_byte_pair_tokenizer(const gguf_file& file);
result<std::shared_ptr<const tokenizer>> make_sentence_piece_tokenizer(const gguf_file& file);

}  // namespace troupe::kernels
