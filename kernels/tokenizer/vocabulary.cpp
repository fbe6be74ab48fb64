#include "kernels/tokenizer/vocabulary.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::kernels {
namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view scores_key = "tokenizer.ggml.scores";
constexpr std::string_view kinds_key = "tokenizer.ggml.token_type";

error corrupt(std::string_view key, std::string what) {
  return {error_code::data_corrupt, std::string(key) + ": " + std::move(what), {}};
}

const metadata_value* find(const gguf_file& file, std::string_view key) {
  const auto at = file.metadata().find(key);
  return at == file.metadata().end() ? nullptr : &at->second;
}

// The value of an array of numbers at `i`, whichever kind of numbers it holds.
std::optional<double> number_at(const metadata_value& value, std::size_t i) {
  if (const auto* reals = std::get_if<std::vector<double>>(&value)) return (*reals)[i];
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&value))
    return static_cast<double>((*whole)[i]);
  if (const auto* counts = std::get_if<std::vector<std::uint64_t>>(&value))
    return static_cast<double>((*counts)[i]);
  return std::nullopt;
}

std::size_t numbers_in(const metadata_value& value) {
  if (const auto* reals = std::get_if<std::vector<double>>(&value)) return reals->size();
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&value)) return whole->size();
  if (const auto* counts = std::get_if<std::vector<std::uint64_t>>(&value)) return counts->size();
  return 0;
}

status check_length(std::string_view key, const metadata_value& value, std::size_t tokens) {
  if (numbers_in(value) >= tokens) return {};
  return corrupt(key, std::to_string(numbers_in(value)) + " numbers for " + std::to_string(tokens) +
                          " tokens");
}

status read_scores(const gguf_file& file, vocabulary& words) {
  words.scores.assign(words.size(), 0.0f);
  const metadata_value* value = find(file, scores_key);
  if (!value) return {};
  if (status fits = check_length(scores_key, *value, words.size()); !fits) return fits;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto score = static_cast<float>(*number_at(*value, i));
    if (!std::isfinite(score))
      return corrupt(scores_key, "the score of token " + std::to_string(i) + " is not finite");
    words.scores[i] = score;
  }
  return {};
}

status read_kinds(const gguf_file& file, vocabulary& words) {
  words.kinds.assign(words.size(), token_kind::normal);
  const metadata_value* value = find(file, kinds_key);
  if (!value) {
    for (std::size_t i = 0; i < words.size(); ++i)
      if (named_byte(words.texts[i])) words.kinds[i] = token_kind::byte;
    return {};
  }
  if (status fits = check_length(kinds_key, *value, words.size()); !fits) return fits;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const double kind = *number_at(*value, i);
    // A number that is no kind makes a token that is never special, as others treat it.
    words.kinds[i] = kind >= 1 && kind <= 6 ? static_cast<token_kind>(static_cast<int>(kind))
                                            : token_kind::unused;
    if (words.kinds[i] == token_kind::byte && !named_byte(words.texts[i]))
      words.kinds[i] = token_kind::normal;
  }
  return {};
}

result<std::optional<token_id>> read_id(const gguf_file& file, std::string_view key,
                                        std::size_t tokens) {
  const result<std::optional<std::uint64_t>> number = file.unsigned_number(key);
  if (!number) return number.failure();
  if (!*number) return std::optional<token_id>();
  // 2^32 - 1 is how some files write "none".
  if (**number == 0xFFFFFFFFu) return std::optional<token_id>();
  if (**number >= tokens)
    return corrupt(
        key, "token " + std::to_string(**number) + " of a vocabulary of " + std::to_string(tokens));
  return std::optional<token_id>(static_cast<token_id>(**number));
}

// Tokens whose text says what they are, whether or not the file names them by a key.
constexpr std::string_view turn_ends[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "</s>",
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_utterance>",
    "<eos>",
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",  // DeepSeek
    "[e~["};

// Fill-in-the-middle tokens. Padding, repository and file separator end an answer too.
struct fill_in_row {
  std::string_view key;
  bool ends;
  std::array<std::string_view, 8> texts;
};
constexpr fill_in_row fill_in_table[] = {
    {"tokenizer.ggml.fim_pre_token_id",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81"
      "begin\xEF\xBD\x9C>",
      "<PRE>", "\xE2\x96\x81<PRE>", "<|code_prefix|>", "<|prefix|>"}},
    {"tokenizer.ggml.fim_suf_token_id",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81hole\xEF\xBD\x9C>",
      "<SUF>", "\xE2\x96\x81<SUF>", "<|code_suffix|>", "<|suffix|>"}},
    {"tokenizer.ggml.fim_mid_token_id",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81"
      "end\xEF\xBD\x9C>",
      "<MID>", "\xE2\x96\x81<MID>", "<|code_middle|>", "<|middle|>"}},
    {"tokenizer.ggml.fim_pad_token_id",
     true,
     {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"tokenizer.ggml.fim_rep_token_id",
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"tokenizer.ggml.fim_sep_token_id", true, {"<|file_sep|>"}},
};

// Tokens of the harmony format, which are always read and always shown.
constexpr std::string_view channel_marks[] = {"<|channel|>", "<|message|>", "<|start|>",
                                              "<|constrain|>"};

class end_finder {
 public:
  explicit end_finder(vocabulary& words) : words_(words), index_(words.texts) {}

  void add_texts() {
    for (const std::string_view text : turn_ends)
      if (const token_id id = find(text); id >= 0) add_control(id);
  }

  status add_fill_in(const gguf_file& file) {
    for (const fill_in_row& row : fill_in_table) {
      const result<std::optional<token_id>> named = read_id(file, row.key, words_.size());
      if (!named) return named.failure();
      token_id id = named->value_or(-1);
      for (std::size_t i = 0; i < row.texts.size() && id < 0; ++i)
        if ((id = find(row.texts[i])) >= 0) words_.kinds[id] = token_kind::control;
      if (id >= 0 && row.ends) add(id);
    }
    return {};
  }

  void add(token_id id) { words_.ends.push_back(id); }

  // In the harmony format <|end|> ends a message, not the answer.
  void settle_channels() {
    for (const std::string_view text : channel_marks)
      if (const token_id id = find(text); id >= 0) words_.kinds[id] = token_kind::user_defined;
    const auto has = [this](std::string_view text) { return find(text) >= 0; };
    const bool calls = has("<|call|>") || has("<|calls|>");
    const token_id end = find("<|end|>");
    if (end < 0 || !calls || (!has("<|return|>") && !has("<|flush|>"))) return;
    std::erase(words_.ends, end);
    words_.kinds[end] = token_kind::user_defined;
  }

 private:
  token_id find(std::string_view text) const { return index_.find(words_.texts, text); }
  void add_control(token_id id) {
    words_.kinds[id] = token_kind::control;
    add(id);
  }

  vocabulary& words_;
  token_index index_;
};

status find_ends(const gguf_file& file, std::optional<token_id> default_end, vocabulary& words) {
  end_finder finder(words);
  finder.add_texts();
  if (status filled = finder.add_fill_in(file); !filled) return filled;
  for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                     "tokenizer.ggml.eom_token_id"}) {
    const result<std::optional<token_id>> id = read_id(file, key, words.size());
    if (!id) return id.failure();
    if (*id) finder.add(**id);
    if (!*id && key == "tokenizer.ggml.eos_token_id" && default_end) finder.add(*default_end);
  }
  finder.settle_channels();
  std::sort(words.ends.begin(), words.ends.end());
  words.ends.erase(std::unique(words.ends.begin(), words.ends.end()), words.ends.end());
  return {};
}

// Phi-3's published tokenizer strips white space after its special tokens; the file's only trace of
// it is the name.
status find_stripping(const gguf_file& file, vocabulary& words) {
  words.strips_right.assign(words.size(), false);
  const result<std::optional<std::string_view>> name = file.text("general.name");
  if (!name) return name.failure();
  std::string lower(name->value_or(""));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (lower.find("phi-3") == std::string::npos && lower.find("phi3") == std::string::npos)
    return {};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view text = words.texts[i];
    const bool special = words.kinds[i] == token_kind::control ||
                         words.kinds[i] == token_kind::user_defined ||
                         words.kinds[i] == token_kind::unknown;
    const bool keeps = text == "<unk>" || text == "<s>" || text == "<|endoftext|>";
    words.strips_right[i] = (special || text == "</s>") && !keeps;
  }
  return {};
}

status read_texts(const gguf_file& file, vocabulary& words) {
  const result<const std::vector<std::string_view>*> tokens = find_texts(file, tokens_key);
  if (!tokens) return tokens.failure();
  if (!*tokens) return corrupt(tokens_key, "the file has no vocabulary");
  const std::size_t count = (*tokens)->size();
  if (count == 0 || count > vocabulary_tokens_max)
    return corrupt(tokens_key, std::to_string(count) + " tokens, allowed are 1 to " +
                                   std::to_string(vocabulary_tokens_max));
  for (const std::string_view text : **tokens) words.texts.add(text);
  return {};
}

std::optional<token_id> inside(std::optional<token_id> id, std::size_t tokens) {
  return id && static_cast<std::size_t>(*id) < tokens ? id : std::nullopt;
}

}  // namespace

std::optional<std::uint8_t> named_byte(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = digit(text[3]);
  const int low = digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<std::uint8_t>(high * 16 + low);
}

result<const std::vector<std::string_view>*> find_texts(const gguf_file& file,
                                                        std::string_view key) {
  const metadata_value* value = find(file, key);
  if (!value) return static_cast<const std::vector<std::string_view>*>(nullptr);
  if (const auto* texts = std::get_if<std::vector<std::string_view>>(value)) return texts;
  return corrupt(key, "not an array of strings");
}

result<vocabulary> vocabulary::read(const gguf_file& file, default_ids defaults) {
  vocabulary words;
  if (status done = read_texts(file, words); !done) return done.failure();
  if (status done = read_scores(file, words); !done) return done.failure();
  if (status done = read_kinds(file, words); !done) return done.failure();

  const auto named = read_id(file, "tokenizer.ggml.bos_token_id", words.size());
  if (!named) return named.failure();
  words.beginning = *named ? *named : inside(defaults.beginning, words.size());
  const auto stand_in = read_id(file, "tokenizer.ggml.unknown_token_id", words.size());
  if (!stand_in) return stand_in.failure();
  words.unknown = *stand_in ? *stand_in : inside(defaults.unknown, words.size());

  const auto beginning_flag = file.flag("tokenizer.ggml.add_bos_token");
  if (!beginning_flag) return beginning_flag.failure();
  words.add_beginning = *beginning_flag;
  if (words.add_beginning.value_or(false) && !words.beginning)
    return corrupt("tokenizer.ggml.add_bos_token",
                   "true, but tokenizer.ggml.bos_token_id is not set");
  const auto prefix_flag = file.flag("tokenizer.ggml.add_space_prefix");
  if (!prefix_flag) return prefix_flag.failure();
  words.add_space_prefix = *prefix_flag;

  if (status done = find_ends(file, inside(defaults.end, words.size()), words); !done)
    return done.failure();
  if (status done = find_stripping(file, words); !done) return done.failure();
  return words;
}

}  // namespace troupe::kernels
