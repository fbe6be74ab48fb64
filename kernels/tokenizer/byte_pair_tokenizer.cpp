#include <algorithm>

#include "kernels/tokenizer/byte_alphabet.hpp"
#include "kernels/tokenizer/byte_pairs.hpp"
#include "kernels/tokenizer/pre_tokenizer.hpp"
#include "kernels/tokenizer/recent_words.hpp"
#include "kernels/tokenizer/vocabulary_tokenizer.hpp"

namespace troupe::kernels {
namespace {

constexpr std::string_view merges_key = "tokenizer.ggml.merges";
constexpr std::string_view pre_key = "tokenizer.ggml.pre";

class byte_pair_tokenizer final : public vocabulary_tokenizer {
 public:
  byte_pair_tokenizer(vocabulary words, const pre_tokenizer_row& row, std::string name,
                      word_rules rules, byte_pairs pairs, std::span<const std::string> bytes_of)
      : vocabulary_tokenizer(std::move(words), row.add_beginning, false),
        row_(row),
        name_(std::move(name)),
        rules_(std::move(rules)),
        pairs_(std::move(pairs)) {
    for (const std::string& bytes : bytes_of) bytes_of_.add(bytes);
    index_ = token_index(bytes_of_);
    make_pieces();
  }

  void seal(std::span<const std::string_view> merges) {
    digest_builder digest;
    add_to(digest);
    digest.add(std::uint64_t{row_.patterns.size()});
    for (const std::string_view pattern : row_.patterns) digest.add(pattern);
    digest.add(static_cast<std::uint64_t>(row_.ignore_merges));
    digest.add(std::uint64_t{merges.size()});
    for (const std::string_view merge : merges) digest.add(merge);
    digest_ = digest.finish();
  }

  std::string_view kind() const override { return "gpt2"; }
  std::string_view pre_tokenizer() const override { return name_; }

 protected:
  status encode_plain(std::string_view text, bool, std::vector<token_id>& out) const override {
    word_cutter cutter(rules_);
    recent_words recent(text.size());
    byte_pairs::scratch room;
    cutter.begin(text);
    while (true) {
      const result<std::string_view> word = cutter.next();
      if (!word) return word.failure();
      if (word->empty()) return {};
      recent.append(*word, out, [&](std::string_view fresh) {
        const token_id whole = row_.ignore_merges ? index_.find(bytes_of_, fresh) : -1;
        if (whole >= 0)
          out.push_back(whole);
        else
          pairs_.encode(fresh, room, out);
      });
    }
  }

  // A text outside the alphabet stands for itself.
  std::string normal_piece(token_id id) const override {
    return std::string(bytes_of_[id].empty() ? words_.texts[id] : bytes_of_[id]);
  }

 private:
  const pre_tokenizer_row& row_;
  std::string name_;
  word_rules rules_;
  byte_pairs pairs_;
  token_texts bytes_of_;
  token_index index_;
};

}  // namespace

result<std::shared_ptr<const tokenizer>> make_byte_pair_tokenizer(const gguf_file& file) {
  const auto named = file.text(pre_key);
  if (!named) return named.failure();
  const std::string name(named->value_or("default"));
  const pre_tokenizer_row* row = find_pre_tokenizer(name);
  if (!row)
    return error{error_code::unsupported,
                 std::string(pre_key) + ": no pre-tokenizer \"" + name + "\"",
                 "known are " + pre_tokenizer_names()};
  result<vocabulary> words = vocabulary::read(file, {});
  if (!words) return words.failure();
  const auto merges = find_texts(file, merges_key);
  if (!merges) return merges.failure();
  if (!*merges)
    return error{
        error_code::data_corrupt, std::string(merges_key) + ": the file has no merges", {}};
  if ((*merges)->size() > merges_max)
    return error{error_code::data_corrupt,
                 std::string(merges_key) + ": " + std::to_string((*merges)->size()) +
                     " merges, allowed are " + std::to_string(merges_max),
                 {}};
  std::vector<std::string> bytes_of;
  for (std::size_t i = 0; i < words->size(); ++i)
    bytes_of.push_back(byte_alphabet::to_bytes(words->texts[i]).value_or(""));
  result<word_rules> rules = word_rules::make(*row);
  if (!rules) return rules.failure();
  result<byte_pairs> pairs = byte_pairs::make(bytes_of, **merges);
  if (!pairs) return pairs.failure();
  auto made = std::make_shared<byte_pair_tokenizer>(std::move(*words), *row, name,
                                                    std::move(*rules), std::move(*pairs), bytes_of);
  made->seal(**merges);
  return std::shared_ptr<const tokenizer>(std::move(made));
}

}  // namespace troupe::kernels
