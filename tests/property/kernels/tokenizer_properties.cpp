// Tokenizers against slow, obvious twins, and under vocabularies that nobody meant.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "kernels/tokenizer/utf8.hpp"
#include "tests/unit/kernels/tokenizer_sample.hpp"

using namespace tokenizer_sample;

namespace {

using many = std::vector<token_id>;
using texts = std::vector<std::string>;

std::string any_text(std::size_t length_max) {
  const auto count = *rc::gen::inRange<std::size_t>(0, length_max + 1);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const auto pick = *rc::gen::inRange(0, 10);
    if (pick < 6) {
      text += *rc::gen::element<std::string>("a", "B", "7", " ", "  ", "\n", "'s", ".", "é", "漢",
                                             "🙂", "\u0301", "\u3000", "don't", "<tool>",
                                             "<|im_end|>", "\t", "=");
    } else {
      char32_t code = *rc::gen::inRange<std::uint32_t>(0, 0x110000);
      if (code >= 0xD800 && code < 0xE000) code -= 0x1000;
      utf8::append(text, code);
    }
  }
  return text;
}

// Merges by going through all rules in order and, for each, from the left, again and again.
texts merge_slowly(const texts& letters,
                   const std::vector<std::pair<std::string, std::string>>& rules) {
  texts parts = letters;
  while (true) {
    std::size_t best_rule = rules.size();
    std::size_t best_at = 0;
    for (std::size_t at = 0; at + 1 < parts.size(); ++at)
      for (std::size_t rule = 0; rule < best_rule; ++rule)
        if (rules[rule].first == parts[at] && rules[rule].second == parts[at + 1]) {
          best_rule = rule;
          best_at = at;
        }
    if (best_rule == rules.size()) return parts;
    parts[best_at] += parts[best_at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

texts join_slowly(texts parts, const std::map<std::string, float>& scores) {
  while (true) {
    std::ptrdiff_t best = -1;
    float score = 0;
    for (std::size_t at = 0; at + 1 < parts.size(); ++at) {
      const auto found = scores.find(parts[at] + parts[at + 1]);
      if (found == scores.end() || (best >= 0 && found->second <= score)) continue;
      best = static_cast<std::ptrdiff_t>(at);
      score = found->second;
    }
    if (best < 0) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + best + 1);
  }
}

std::string any_letters(std::size_t size_max) {
  return *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(0, size_max),
                                          rc::gen::inRange('a', 'e'));
}

texts letters_of(const std::string& word) {
  texts letters;
  for (const char c : word) letters.emplace_back(1, c);
  return letters;
}

texts pieces_of(const tokenizer& words, const many& ids) {
  texts pieces;
  for (const token_id id : ids) pieces.emplace_back(words.piece(id));
  return pieces;
}

// Text with U+FFFD for what is not UTF-8, found by trying what could complete each front.
std::string mended(const std::string& bytes) {
  const auto may_begin = [](const std::string& front) {
    for (const char second : {'\x80', '\x8F', '\x90', '\x9F', '\xA0', '\xBF'})
      for (const std::size_t size : {2, 3, 4}) {
        if (size < front.size()) continue;
        std::string whole = front;
        if (whole.size() < size) whole += second;
        while (whole.size() < size) whole += '\x80';
        if (!utf8::find_invalid(whole) && utf8::read_front(whole).size == size) return true;
      }
    return false;
  };
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 1;
    if (!utf8::find_invalid(bytes.substr(at, 1))) {
      text += bytes[at++];
      continue;
    }
    while (at + size < bytes.size() && may_begin(bytes.substr(at, size + 1))) ++size;
    const std::string part = bytes.substr(at, size);
    text += utf8::find_invalid(part) ? "\uFFFD" : part;
    at += size;
  }
  return text;
}

}  // namespace

TEST_CASE("byte-level tokens decode to the text they came from, for every row") {
  static const auto rows = [] {
    std::vector<std::shared_ptr<const tokenizer>> all;
    for (const char* pre :
         {"default", "gpt-2", "llama-bpe", "qwen2", "falcon", "deepseek-llm", "deepseek-coder",
          "deepseek-v3", "bloom", "tekken", "gpt-4o", "chameleon", "jais-2", "exaone-moe"}) {
      sample vocabulary = byte_level(pre);
      for (const char* pair : {"a", "B", " ", "'", "7"}) vocabulary.merge(" ", pair);
      all.push_back(*vocabulary.build());
    }
    return all;
  }();
  CHECK(rc::check("decode(encode(text)) == text", [] {
    const std::string text = any_text(40);
    for (const auto& words : rows) {
      const auto ids = words->encode(text, {});
      RC_ASSERT(bool(ids));
      RC_ASSERT(words->decode(*ids) == text);
    }
  }));
}

TEST_CASE("byte pairs merge as the plain rule says, in short words and long ones") {
  CHECK(rc::check("same pieces as the slow twin", [] {
    sample vocabulary = byte_level();
    std::vector<std::pair<std::string, std::string>> rules;
    texts known = {"a", "b", "c", "d"};
    const auto count = *rc::gen::inRange<std::size_t>(0, 20);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string left = *rc::gen::elementOf(known);
      const std::string right = *rc::gen::elementOf(known);
      if (std::find(rules.begin(), rules.end(), std::pair(left, right)) != rules.end()) continue;
      rules.emplace_back(left, right);
      if (std::find(known.begin(), known.end(), left + right) == known.end()) {
        vocabulary.merge(left, right);
        known.push_back(left + right);
      } else {
        vocabulary.merges.push_back(left + " " + right);
      }
    }
    const auto words = *vocabulary.build();
    const std::string word = any_letters(*rc::gen::element<std::size_t>(10, 200));
    RC_ASSERT(pieces_of(*words, *words->encode(word, {})) == merge_slowly(letters_of(word), rules));
  }));
}

TEST_CASE("scored pieces join as the plain rule says") {
  CHECK(rc::check("same pieces as the slow twin", [] {
    sample vocabulary = scored();
    vocabulary.flags = {{"tokenizer.ggml.add_space_prefix", false}};
    std::map<std::string, float> scores;
    for (const char* letter : {"a", "b", "c", "d"}) scores[letter] = 0;
    const auto count = *rc::gen::inRange<std::size_t>(0, 30);
    for (std::size_t i = 0; i < count; ++i) {
      std::string word = any_letters(6);
      if (*rc::gen::inRange(0, 4) == 0) word = " " + word;
      if (*rc::gen::inRange(0, 12) == 0) word += " ";
      if (!word.empty() && word != " ") scores[word] = static_cast<float>(*rc::gen::inRange(-4, 1));
    }
    for (const auto& [word, score] : scores) {
      std::string marked;
      for (const char c : word) marked += c == ' ' ? std::string("\u2581") : std::string(1, c);
      vocabulary.add(marked, normal, score);
    }
    const auto words = *vocabulary.build();
    std::string text = any_letters(*rc::gen::element<std::size_t>(10, 100));
    for (char& c : text)
      if (*rc::gen::inRange(0, 5) == 0) c = ' ';
    RC_ASSERT(pieces_of(*words, *words->encode(text, {})) == join_slowly(letters_of(text), scores));
  }));
}

TEST_CASE("a stream gives the decoded text, whatever the tokens cut") {
  CHECK(rc::check("push and finish together are the mended decode", [] {
    const bool spaced = *rc::gen::arbitrary<bool>();
    static const auto plain = *byte_level().build();
    static const auto marked = [] {
      sample vocabulary = scored();
      vocabulary.add("\u2581word");
      vocabulary.add("\u2581");
      return *vocabulary.build();
    }();
    const auto words = spaced ? marked : plain;
    many ids;
    const auto count = *rc::gen::inRange<std::size_t>(0, 30);
    for (std::size_t i = 0; i < count; ++i) {
      const bool lead = *rc::gen::arbitrary<bool>();
      const token_id shift = spaced ? 3 : 0;
      ids.push_back(lead ? *rc::gen::inRange<token_id>(0, 262)
                         : shift + *rc::gen::inRange<token_id>(0x80, 0x100));
    }
    text_stream stream(words, true);
    std::string text;
    for (const token_id id : ids) {
      const std::string part = stream.push(id);
      RC_ASSERT(!utf8::find_invalid(part));
      text += part;
    }
    text += stream.finish();
    RC_ASSERT(text == mended(words->decode(ids)));
  }));
}

TEST_CASE("no vocabulary, however odd, breaks encode or decode") {
  CHECK(rc::check("ids inside the vocabulary, or an error", [] {
    sample vocabulary{
        .kind = *rc::gen::element<std::string>("gpt2", "llama"),
        .pre = *rc::gen::element<std::string>("", "gpt-2", "llama-bpe", "deepseek-llm")};
    const auto count = *rc::gen::inRange<std::size_t>(1, 40);
    for (std::size_t i = 0; i < count; ++i) {
      const auto pick = *rc::gen::inRange(0, 3);
      const std::string text =
          pick == 0   ? any_text(3)
          : pick == 1 ? *rc::gen::arbitrary<std::string>()
                      : *rc::gen::element<std::string>("<unk>", "</s>", "<0x41>", "<0xZZ>",
                                                       "\u2581", "<|end|>", "<|return|>", "a");
      vocabulary.add(text, *rc::gen::inRange(-1, 8), static_cast<float>(*rc::gen::inRange(-3, 3)));
    }
    const auto merges = *rc::gen::inRange<std::size_t>(0, 10);
    for (std::size_t i = 0; i < merges; ++i)
      vocabulary.merges.push_back(*rc::gen::elementOf(vocabulary.texts) + " " +
                                  *rc::gen::elementOf(vocabulary.texts));
    if (*rc::gen::arbitrary<bool>())
      vocabulary.numbers = {
          {"tokenizer.ggml.bos_token_id", *rc::gen::inRange<std::uint32_t>(0, 45)}};
    const auto words = vocabulary.build();
    if (!words) return;
    const bool special = *rc::gen::arbitrary<bool>();
    const auto ids =
        (*words)->encode(any_text(30), {.add_beginning = true, .parse_special = special});
    if (!ids) return;
    for (const token_id id : *ids)
      RC_ASSERT(id >= 0 && static_cast<std::size_t>(id) < vocabulary.texts.size());
    text_stream stream(*words, true);
    std::string text;
    for (const token_id id : *ids) text += stream.push(id);
    RC_ASSERT(text + stream.finish() == mended((*words)->decode(*ids)));
  }));
}
