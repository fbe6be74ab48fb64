#include "kernels/model_file/make_tokenizer.hpp"

#include <string>
#include <unordered_set>
#include <vector>

#include "kernels/model_file/byte_pair_trainer.hpp"
#include "kernels/model_file/training_words.hpp"
#include "kernels/tokenizer/byte_alphabet.hpp"

namespace troupe::kernels {
namespace {

// Token types of tokenizer.ggml.token_type.
constexpr std::int32_t type_normal = 1, type_unknown = 2, type_control = 3, type_unused = 5,
                       type_byte = 6;

constexpr std::string_view control_tokens[] = {"<|begin_of_text|>", "<|end_of_text|>",
                                               "<|start_header_id|>", "<|end_header_id|>",
                                               "<|eot_id|>"};
constexpr std::uint32_t control_count = std::size(control_tokens);

constexpr const char* header_template =
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}"
    "<|end_header_id|>\n\n{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";
constexpr const char* plain_template =
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] "
    "{{ message['content'] | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}";

struct vocabulary_lists {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::vector<float> scores;

  void add(std::string token, std::int32_t type, float score = 0) {
    tokens.push_back(std::move(token));
    types.push_back(type);
    scores.push_back(score);
  }

  // Fills up to `count`; gives how many that took.
  std::uint64_t fill(std::uint32_t count) {
    const std::size_t before = tokens.size();
    while (tokens.size() < count)
      add("<|unused_" + std::to_string(tokens.size()) + "|>", type_unused, -1e6F);
    return tokens.size() - before;
  }
};

// A large vocabulary needs more words to learn from; a small one is trained in no time.
std::vector<counted_word> words_for(std::uint32_t vocabulary) {
  constexpr std::size_t forms_a_token = 4;
  return training_words(forms_a_token * vocabulary);
}

std::uint64_t write_byte_pairs(gguf_writer& writer, std::uint32_t vocabulary) {
  const auto merges = train_byte_pairs(words_for(vocabulary), vocabulary - 256 - control_count);
  vocabulary_lists lists;
  for (int byte = 0; byte < 256; ++byte)
    lists.add(byte_alphabet::from_bytes(std::string(1, static_cast<char>(byte))), type_normal);
  std::vector<std::string> rules;
  for (const byte_pair_merge& merge : merges) {
    rules.push_back(lists.tokens[merge.left] + " " + lists.tokens[merge.right]);
    lists.add(byte_alphabet::from_bytes(merge.bytes), type_normal);
  }
  const std::uint64_t unused = lists.fill(vocabulary - control_count);
  const auto first = static_cast<std::uint32_t>(lists.tokens.size());
  for (const std::string_view token : control_tokens) lists.add(std::string(token), type_control);

  writer.set("tokenizer.ggml.model", std::string("gpt2"));
  writer.set("tokenizer.ggml.pre", std::string("llama-bpe"));
  writer.set("tokenizer.ggml.tokens", std::move(lists.tokens));
  writer.set("tokenizer.ggml.token_type", std::move(lists.types));
  writer.set("tokenizer.ggml.merges", std::move(rules));
  writer.set("tokenizer.ggml.bos_token_id", first);
  writer.set("tokenizer.ggml.eos_token_id", first + 1);
  writer.set("tokenizer.ggml.eot_token_id", first + 4);
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.chat_template", std::string(header_template));
  return unused;
}

// A piece with the visible space that SentencePiece writes; empty for what it does not merge
// across.
std::string piece_of(const std::string& bytes) {
  std::string piece;
  for (const char c : bytes) {
    if (c == '\n' || c == '\t' || c == '\r' || static_cast<unsigned char>(c) >= 0x80) return {};
    piece += c == ' ' ? "\xe2\x96\x81" : std::string(1, c);
  }
  return piece;
}

std::uint64_t write_pieces(gguf_writer& writer, std::uint32_t vocabulary) {
  vocabulary_lists lists;
  lists.add("<unk>", type_unknown);
  lists.add("<s>", type_control);
  lists.add("</s>", type_control);
  constexpr char digits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte)
    lists.add(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">", type_byte);
  std::unordered_set<std::string> known(lists.tokens.begin(), lists.tokens.end());
  const auto add_piece = [&](const std::string& piece) {
    if (piece.empty() || lists.tokens.size() >= vocabulary || !known.insert(piece).second) return;
    lists.add(piece, type_normal, -static_cast<float>(lists.tokens.size() - 259));
  };
  add_piece(piece_of(" "));
  for (char c = '!'; c <= '~'; ++c) add_piece(std::string(1, c));
  for (const byte_pair_merge& merge : train_byte_pairs(words_for(vocabulary), vocabulary))
    add_piece(piece_of(merge.bytes));
  const std::uint64_t unused = lists.fill(vocabulary);

  writer.set("tokenizer.ggml.model", std::string("llama"));
  writer.set("tokenizer.ggml.pre", std::string("default"));
  writer.set("tokenizer.ggml.tokens", std::move(lists.tokens));
  writer.set("tokenizer.ggml.token_type", std::move(lists.types));
  writer.set("tokenizer.ggml.scores", std::move(lists.scores));
  writer.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_space_prefix", true);
  writer.set("tokenizer.chat_template", std::string(plain_template));
  return unused;
}

}  // namespace

std::uint64_t write_tokenizer(gguf_writer& writer, std::string_view kind,
                              std::uint32_t vocabulary) {
  return kind == "byte-bpe" ? write_byte_pairs(writer, vocabulary)
                            : write_pieces(writer, vocabulary);
}

}  // namespace troupe::kernels
