#include "kernels/tokenizer/piece_pairs.hpp"
#include "kernels/tokenizer/recent_words.hpp"
#include "kernels/tokenizer/utf8.hpp"
#include "kernels/tokenizer/vocabulary_tokenizer.hpp"

namespace troupe::kernels {
namespace {

constexpr std::string_view mark = "\xE2\x96\x81";  // U+2581 stands for a space

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

error no_token_for(std::string_view word) {
  constexpr std::size_t shown_max = 64;
  std::string shown(word.substr(0, shown_max));
  while (!shown.empty() && utf8::find_invalid(shown)) shown.pop_back();
  return {error_code::unsupported,
          "the model's vocabulary has no tokens for a part of \"" + shown + "\"" +
              (shown.size() < word.size() ? "..." : ""),
          "leave these characters out"};
}

// Where a word ends: before a mark that follows something else.
std::size_t word_end(std::string_view text) {
  std::size_t at = 0;
  while (text.substr(at).starts_with(mark)) at += mark.size();
  const std::size_t end = text.find(mark, at);
  return end == std::string_view::npos ? text.size() : end;
}

class sentence_piece_tokenizer final : public vocabulary_tokenizer {
 public:
  sentence_piece_tokenizer(vocabulary words, bool add_space_prefix)
      : vocabulary_tokenizer(std::move(words), true, add_space_prefix),
        add_space_prefix_(add_space_prefix),
        pairs_(words_) {
    words_stand_alone_ = true;
    for (std::size_t i = 0; i < words_.size() && words_stand_alone_; ++i)
      words_stand_alone_ = word_end(words_.texts[i]) == words_.texts[i].size();
    make_pieces();
    digest_builder digest;
    add_to(digest);
    digest.add(static_cast<std::uint64_t>(add_space_prefix_));
    digest_ = digest.finish();
  }

  std::string_view kind() const override { return "llama"; }
  std::string_view pre_tokenizer() const override { return "default"; }

 protected:
  status encode_plain(std::string_view text, bool after_special,
                      std::vector<token_id>& out) const override {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2);
    if (add_space_prefix_ && after_special) marked = mark;
    for (const char c : text) {
      if (c == ' ')
        marked += mark;
      else
        marked += c;
    }
    recent_words recent(marked.size());
    piece_pairs::scratch room;
    bool written = true;
    for (std::string_view rest = marked; !rest.empty();) {
      const std::string_view word = words_stand_alone_ ? rest.substr(0, word_end(rest)) : rest;
      recent.append(word, out,
                    [&](std::string_view fresh) { written = pairs_.encode(fresh, room, out); });
      if (!written) return no_token_for(word);
      rest.remove_prefix(word.size());
    }
    return {};
  }

  std::string normal_piece(token_id id) const override {
    std::string piece(words_.texts[id]);
    replace_all(piece, mark, " ");
    return piece;
  }

 private:
  bool add_space_prefix_;
  piece_pairs pairs_;
  bool words_stand_alone_ =
      true;  // no token has a mark behind another character, so no merge crosses a word's front
};

}  // namespace

result<std::shared_ptr<const tokenizer>> make_sentence_piece_tokenizer(const gguf_file& file) {
  result<vocabulary> words = vocabulary::read(file, {.beginning = 1, .end = 2, .unknown = 0});
  if (!words) return words.failure();
  const bool add_space_prefix = words->add_space_prefix.value_or(true);
  return std::shared_ptr<const tokenizer>(
      std::make_shared<sentence_piece_tokenizer>(std::move(*words), add_space_prefix));
}

}  // namespace troupe::kernels
